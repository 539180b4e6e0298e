//! Why rows can't be screened.

use crate::kit::store::StoreError;

/// Rows can't be screened.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// A column that must be text can't be read as text.
    #[error("column `{column}` holds {kind}, which can't be read as text")]
    NotText {
        /// Its name.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The suppression list can't be read.
    #[error(transparent)]
    Suppression(#[from] StoreError),
    /// More rows than can be numbered.
    #[error("more than 4,294,967,294 rows")]
    TooManyRows,
    /// Arrow failed to convert a column of a convertible type.
    #[error("can't read a column as text")]
    Arrow(#[from] arrow_schema::ArrowError),
}
