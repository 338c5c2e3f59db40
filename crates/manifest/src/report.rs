//! What there is to say of a file: mistakes and remarks, how much they matter, and what was most likely meant.

pub(crate) mod findings;
pub(crate) mod mistake;
pub(crate) mod problem;
pub(crate) mod remark;
pub(crate) mod severity;
pub(crate) mod spelling;
