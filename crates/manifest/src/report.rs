//! The report on a file: mistakes and remarks, their severity, and what was most likely meant.

pub(crate) mod findings;
pub(crate) mod mistake;
pub(crate) mod problem;
pub(crate) mod remark;
pub(crate) mod severity;
pub(crate) mod spelling;
