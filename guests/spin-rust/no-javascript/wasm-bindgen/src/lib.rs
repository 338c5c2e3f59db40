//! What `chrono` names of `wasm-bindgen`.

/// A value of JavaScript's, of which there is none.
pub enum JsValue {}

impl JsValue {
    pub fn from_f64(_: f64) -> Self {
        unreachable!("there is no JavaScript here")
    }
}
