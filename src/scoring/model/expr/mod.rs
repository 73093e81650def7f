//! Conditions and values in the language of CEL. Names are resolved when the model is checked; an
//! evaluation takes a bounded number of steps. What an expression reads is handed in as
//! [`Variables`].

mod cost;
mod event;
mod expression;
mod inference;
mod kinds;
mod misfits;
mod native_expr;
mod native_value;
mod readable;
mod reading;
mod resolver;
mod scope;
mod variable;

pub(crate) use cost::Budget;
pub(crate) use event::{event_has, event_value};
pub(crate) use expression::{Expression, compile};
pub(crate) use native_value::NativeValue;
pub(crate) use reading::Variables;
pub(crate) use scope::{ExpressionDiagnostic, Failed, Scope, Wanted};
pub(crate) use variable::{Declared, Variable};
#[cfg(test)]
pub(crate) use {reading::domain, resolver::ORDERED};
