//! The connection that a script opened last, for the statements that follow.

use std::cell::RefCell;
use std::rc::Rc;

use crate::interpreter::Outcome;

pub(crate) struct Kept<C>(RefCell<Option<Rc<C>>>);

impl<C> Kept<C> {
    /// `ok`, as the result of opening it.
    pub(crate) fn keep(&self, opened: C) -> String {
        self.0.replace(Some(Rc::new(opened)));
        "ok".to_owned()
    }

    /// It, or what a statement that needs it gets without it.
    pub(crate) fn connection(&self) -> Result<Rc<C>, Outcome> {
        let kept = self.0.borrow().clone();
        kept.ok_or_else(|| Err("nothing is open".to_owned()))
    }
}

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}
