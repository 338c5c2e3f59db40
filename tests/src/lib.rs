//! The kit of the end-to-end tests: what stands around the built `outport` binary while a test looks at it.
//!
//! - [`outport`] runs the binary and collects what it said, [`audit`] reads what it wrote down about each
//!   decision, [`script`] says what a guest tries and what it must get, [`guest`] knows where the guests are,
//!   [`http`] is a client and an origin, [`http2`] a client that does as it likes;
//! - [`dns`] is a DNS server with a script, [`tcp`] and [`udp`] are peers that behave well or badly;
//! - [`models`] is a server that runs models, in two APIs, and [`sqs`] one that has a queue;
//! - [`service_manager`] is told what becomes of a process, and [`wrk`] puts a server under load;
//! - [`tls`] is an authority and an HTTPS server that may ask for a client's certificate;
//! - [`redis`], [`postgres`], [`mariadb`], [`mosquitto`], [`prometheus`] and [`python_server`] are the real servers, [`go`], [`python`],
//!   [`rust_toolchain`] and [`javascript`] build real programs as modules or components;
//! - [`typed`] builds what a page of the documentation says, by its commands;
//! - [`author`] makes apps with `outport new`, and builds them as their manifests say;
//! - [`collector`](collector::Collector) takes traces, metrics and logs by OTLP, or does not;
//! - [`egress_proxy`] is a proxy that notes what it is asked for, and Debian's tinyproxy;
//! - [`stores`] asks a guest that has key-value stores, and looks at their files;
//! - [`browser`] is a Chromium that looks at a page;
//! - [`checked`] is an app to check, [`schema`] holds documents against JSON schemas;
//! - [`until`](until::until) waits for what a test builds on, however busy the machine, and a [`turnstile`] keeps guests
//!   waiting until a test has seen enough;
//! - [`clean_root`] is a Debian system to install packages into;
//! - [`network`] gives a test a network of its own, with private and public addresses that lead nowhere else.
//!
//! The kit knows the binary only by its command line and its output. It depends on no crate of Outport, so a
//! test cannot pass because both sides share a mistake.

pub mod audit;
pub mod author;
pub mod browser;
pub mod checked;
pub mod clean_root;
pub mod collector;
pub mod dns;
pub mod docker_registry;
pub mod egress_proxy;
pub mod go;
pub mod guest;
pub mod http;
pub mod http2;
pub mod javascript;
pub mod libsql;
pub mod mariadb;
pub mod models;
pub mod mosquitto;
pub mod network;
pub mod outport;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod python;
pub mod python_server;
pub mod redis;
pub mod rust_toolchain;
pub mod schema;
pub mod script;
pub mod service_manager;
pub mod slow_component;
pub mod sqs;
pub mod static_outport;
pub mod stores;
pub mod tcp;
pub mod tls;
pub mod tls_client;
pub mod transcript;
pub mod turnstile;
pub mod typed;
pub mod udp;
pub mod until;
pub mod wrk;
