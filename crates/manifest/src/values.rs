//! Values that can only be right, and why a text is none of them.

pub(crate) mod byte_limits;
pub(crate) mod cron_expression;
pub(crate) mod dependency_error;
pub(crate) mod dependency_name;
pub(crate) mod dns_server;
pub(crate) mod filled_in;
pub(crate) mod identifier;
pub(crate) mod route;
pub(crate) mod secret;
pub(crate) mod server_url;
pub(crate) mod service;
pub(crate) mod source_error;
pub(crate) mod template_error;
pub(crate) mod units;
pub(crate) mod variable;
pub(crate) mod variable_text;
pub(crate) mod variable_value;
