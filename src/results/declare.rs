//! From the list of columns to the code that writes and reads them.

/// How a column is stored, besides its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    /// The average length of its texts, for reserving memory.
    pub(super) text_bytes: usize,
    /// Nearly all values differ: a Parquet dictionary of them would be built for nothing.
    pub(super) is_distinct: bool,
    /// Older files of this schema version don't have the column.
    pub(super) is_late: bool,
}

/// A column without texts.
pub(super) const PLAIN: Storage = Storage { text_bytes: 0, is_distinct: false, is_late: false };

/// A column of texts with this average length.
pub(super) const fn text(bytes: usize) -> Storage {
    Storage { text_bytes: bytes, ..PLAIN }
}

impl Storage {
    /// Nearly all values differ.
    pub(super) const fn distinct(self) -> Self {
        Self { is_distinct: true, ..self }
    }

    /// Added after the first files of this schema version.
    pub(super) const fn late(self) -> Self {
        Self { is_late: true, ..self }
    }
}

/// Declares `Column`, `ResultRow` and `Builders` from one line a column: `/// doc`, the variant,
/// the field (which is the column's name), its type and its [`Storage`].
macro_rules! columns {
    (<$life:lifetime> $($(#[$doc:meta])* $variant:ident, $field:ident: $type:ty, $storage:expr;)*) => {
        /// A column of the results, in the order of the file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Column {
            $($(#[$doc])* $variant,)*
        }

        impl Column {
            /// All of them, in the order of the file.
            pub const ALL: [Self; [$(stringify!($field)),*].len()] = [$(Self::$variant),*];

            /// The column's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)*
                }
            }

            /// How the column is stored.
            pub(super) const fn storage(self) -> Storage {
                match self {
                    $(Self::$variant => $storage,)*
                }
            }

            /// The column in the file's schema.
            #[expect(clippy::extra_unused_lifetimes, reason = "the types of the columns name it")]
            pub(super) fn field<$life>(self) -> Field {
                match self {
                    $(Self::$variant => {
                        Field::new(stringify!($field), <$type as Cell>::data_type(), <$type as Cell>::NULLABLE)
                    })*
                }
            }
        }

        /// A row of the results: a field for each [`Column`].
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct ResultRow<$life> {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl<$life> ResultRow<$life> {
            /// A row without values.
            pub(super) fn absent() -> Self {
                Self { $($field: Cell::absent(),)* }
            }
        }

        impl ResultRow<'static> {
            /// Row `at` of a batch whose `arrays` are in the order of [`Column::ALL`]; a column
            /// without an array is empty.
            ///
            /// # Errors
            /// The column with a text that does not parse, and the text.
            pub(super) fn read(arrays: &[Option<ArrayRef>], at: usize) -> Result<Self, (Column, String)> {
                let array = |column: Column| arrays[column as usize].as_deref();
                Ok(Self {
                    $($field: match array(Column::$variant) {
                        Some(array) => Cell::read(array, at).map_err(|text| (Column::$variant, text))?,
                        None => Cell::absent(),
                    },)*
                })
            }
        }

        /// Collects rows as columns.
        pub(super) struct Builders<$life> {
            $($field: <$type as Cell>::Builder,)*
        }

        impl<$life> Builders<$life> {
            /// Builders with room for so many rows.
            pub(super) fn with_capacity(rows: usize) -> Self {
                Self {
                    $($field: <$type as Cell>::builder(rows, Column::$variant.storage().text_bytes),)*
                }
            }

            /// Adds a row.
            pub(super) fn append(&mut self, row: &ResultRow<'_>) {
                $(row.$field.append(&mut self.$field);)*
            }

            /// The columns so far, in the order of [`Column::ALL`]; the builders are empty
            /// afterwards.
            pub(super) fn finish(&mut self) -> Vec<ArrayRef> {
                vec![$(<$type as Cell>::finish(&mut self.$field),)*]
            }
        }
    };
}

pub(super) use columns;
