//! What people write into TOML files, read with its places: tables with typed values, and all that is
//! wrong with them at once. Model files and keys files are read by it.

mod diagnostic;
mod numbers;
mod table;

pub use diagnostic::Diagnostic;
pub(crate) use diagnostic::{Diagnostics, char_boundary_before, nearest, suggestion};
pub(crate) use table::{Spanned, Table, parse};
