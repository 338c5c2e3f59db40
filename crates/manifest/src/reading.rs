//! The tables and keys of the files, each read into its value. What is wrong is reported, and the rest is read on.

pub(crate) mod allowed_http_hosts;
pub(crate) mod application;
pub(crate) mod brokers;
pub(crate) mod byte_budget;
pub(crate) mod client_tls;
pub(crate) mod component;
pub(crate) mod component_limits;
pub(crate) mod component_source;
pub(crate) mod definitions;
pub(crate) mod dependency;
pub(crate) mod dotenv;
pub(crate) mod entries;
pub(crate) mod executor;
pub(crate) mod fields;
pub(crate) mod middleware;
pub(crate) mod mount;
pub(crate) mod operator;
pub(crate) mod other_tools;
pub(crate) mod package_request;
pub(crate) mod static_response;
pub(crate) mod trigger;
pub(crate) mod variable_file;
pub(crate) mod variables;
