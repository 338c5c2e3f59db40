//! What `chrono` names of `js-sys`.

use wasm_bindgen::JsValue;

/// A date of JavaScript's, of which there is none.
pub enum Date {}

impl Date {
    pub fn new_0() -> Self {
        unreachable!("there is no JavaScript here")
    }

    pub fn new(value: &JsValue) -> Self {
        match *value {}
    }

    pub fn new_with_year_month_day_hr_min_sec(_: u32, _: i32, _: i32, _: i32, _: i32, _: i32) -> Self {
        unreachable!("there is no JavaScript here")
    }

    pub fn get_time(&self) -> f64 {
        match *self {}
    }

    pub fn get_timezone_offset(&self) -> f64 {
        match *self {}
    }
}
