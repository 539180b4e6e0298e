//! The columns of a plan: mailrun's own, and those of the target group that the templates use.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow_buffer::BooleanBuffer;
use arrow_cast::{can_cast_types, cast};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;

use super::PlanError;
use crate::screen::{Accepted, Screened};

/// The indices of mailrun's own columns. `columns` is a struct of the target group's.
pub(super) mod column {
    pub(crate) const FILE: usize = 0;
    pub(crate) const ROW: usize = 1;
    /// The address as it goes on the wire.
    pub(crate) const ADDRESS: usize = 2;
    /// The address as given; null if it is the same.
    pub(crate) const EMAIL: usize = 3;
    pub(crate) const ID: usize = 4;
    pub(crate) const NAME: usize = 5;
    pub(crate) const COLUMNS: usize = 6;
}

/// The address of rows whose person was removed. No mail can reach it (RFC 2606 §2).
pub const PURGED: &str = "removed@purged.invalid";

/// The columns of a plan's rows. Can be used from any thread.
#[derive(Debug, Clone)]
pub struct Layout {
    schema: SchemaRef,
    picked: Vec<Picked>,
    left_out: Vec<LeftOut>,
    /// What screened rows keep for the results.
    passed: Vec<(Picked, Field)>,
}

/// The key of the ids' type in a plan's schema, where they are not text.
const ID_TYPE: &str = "mailrun.id-type";

/// A column of the target group that is kept, and the type it is stored as.
#[derive(Debug, Clone)]
struct Picked {
    source: usize,
    kind: DataType,
}

/// A column that templates can't use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// Its type.
    pub kind: String,
}

impl Layout {
    /// The layout for records with this schema. It keeps the columns in `wanted`, or all when it is
    /// unknown which are used.
    pub fn new(records: &Schema, wanted: Option<&BTreeSet<String>>) -> Self {
        let mut picked = Vec::new();
        let mut fields = Vec::new();
        let mut left_out = Vec::new();
        for (source, field) in records.fields().iter().enumerate() {
            if wanted.is_some_and(|wanted| !wanted.contains(field.name())) {
                continue;
            }
            let kind = plain(field.data_type());
            if has_value(&kind) && (kind == *field.data_type() || can_cast_types(field.data_type(), &kind)) {
                fields.push(Field::new(field.name(), kind.clone(), true));
                picked.push(Picked { source, kind });
            } else {
                left_out.push(LeftOut { column: field.name().clone(), kind: field.data_type().to_string() });
            }
        }
        let schema = Schema::new(vec![
            Field::new("file", DataType::UInt32, false),
            Field::new("row", DataType::UInt64, false),
            Field::new("address", DataType::Utf8, false),
            Field::new("email", DataType::Utf8, true),
            Field::new("id", DataType::Utf8, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("columns", DataType::Struct(fields.into()), false),
        ]);
        Self { schema: Arc::new(schema), picked, left_out, passed: Vec::new() }
    }

    /// Screened rows keep the columns `names` of records with this schema, too.
    pub fn passing(mut self, records: &Schema, names: &[String]) -> Self {
        let named = names.iter().filter_map(|name| records.column_with_name(name));
        self.passed = named
            .filter(|(_, field)| has_value(&plain(field.data_type())))
            .map(|(source, field)| {
                let kind = plain(field.data_type());
                (Picked { source, kind: kind.clone() }, Field::new(field.name(), kind, true))
            })
            .collect();
        self
    }

    /// Notes the type that the ids had before they were read as text.
    pub fn with_id_type(mut self, kind: &DataType) -> Self {
        if *kind != DataType::Utf8 {
            let metadata = HashMap::from([(ID_TYPE.to_owned(), kind.to_string())]);
            self.schema = Arc::new(Schema::clone(&self.schema).with_metadata(metadata));
        }
        self
    }

    /// What [`Self::passing`] keeps.
    pub(super) fn passed_fields(&self) -> Fields {
        self.passed.iter().map(|(_, field)| field.clone()).collect()
    }

    /// What screened rows of a batch keep, if anything. Rows that could not be read have no values.
    pub fn encode_screened(
        &self,
        accepted: &Accepted,
        screened: &[Screened],
    ) -> Result<Option<StructArray>, PlanError> {
        if self.passed.is_empty() {
            return Ok(None);
        }
        let places = accepted.places();
        let at = |row: &Screened| places.binary_search_by_key(&row.place.row, |place| place.row).ok();
        let rows: UInt32Array = screened.iter().map(|row| at(row).map(|at| at as u32)).collect();
        let cells = |(picked, _): &(Picked, Field)| {
            let taken = take(accepted.records().column(picked.source), &rows, None)?;
            if *taken.data_type() == picked.kind { Ok(taken) } else { cast(&taken, &picked.kind) }
        };
        let columns =
            self.passed.iter().map(cells).collect::<Result<Vec<_>, _>>().map_err(PlanError::Arrow)?;
        let fields = self.passed_fields();
        Ok(Some(StructArray::try_new(fields, columns, None).map_err(PlanError::Arrow)?))
    }

    /// The type of the ids in a plan with this schema.
    pub(super) fn id_type(schema: &Schema) -> Option<DataType> {
        schema.metadata().get(ID_TYPE)?.parse().ok()
    }

    /// The schema of `plan.arrow`.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The wanted columns that are not kept, because templates can't use their type.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The accepted rows of a batch in this layout.
    pub fn encode(&self, accepted: &Accepted) -> Result<RecordBatch, PlanError> {
        self.frozen(accepted).map_err(PlanError::Arrow)
    }

    fn frozen(&self, accepted: &Accepted) -> Result<RecordBatch, ArrowError> {
        let rows = accepted.places().len();
        let file = u32::try_from(accepted.file()).expect("a target group has fewer than 2^32 files");
        let optional = |column: Option<&StringArray>| match column {
            Some(column) => Arc::new(column.clone()) as ArrayRef,
            None => new_null_array(&DataType::Utf8, rows),
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_value(file, rows)),
            Arc::new(accepted.places().iter().map(|place| place.row).collect::<UInt64Array>()),
            Arc::new(accepted.addresses().clone()),
            rewritten(accepted),
            optional(accepted.ids()),
            optional(accepted.names()),
        ];
        // Conversions come after the filter: they cost more, and few rows may remain.
        let mut fields = self.schema.fields()[..column::COLUMNS].to_vec();
        for picked in &self.picked {
            let source = accepted.records().column(picked.source);
            fields.push(Arc::new(Field::new("", source.data_type().clone(), true)));
            columns.push(Arc::clone(source));
        }
        // Rows that are not accepted may have no address.
        fields[column::ADDRESS] = Arc::new(Field::new("address", DataType::Utf8, true));
        let all = RecordBatch::try_new(Arc::new(Schema::new(Fields::from(fields))), columns)?;
        let kept = if accepted.len() == rows { all } else { filter_record_batch(&all, &mask(accepted))? };

        let mut columns = kept.columns()[..column::COLUMNS].to_vec();
        let kept_rows = kept.num_rows();
        let user = std::iter::zip(&kept.columns()[column::COLUMNS..], &self.picked)
            .map(|(array, picked)| {
                if *array.data_type() == picked.kind {
                    Ok(Arc::clone(array))
                } else {
                    cast(array, &picked.kind)
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        let DataType::Struct(fields) = self.schema.field(column::COLUMNS).data_type() else {
            unreachable!("the last column is a struct, as `new` made it");
        };
        columns.push(Arc::new(StructArray::try_new_with_length(fields.clone(), user, None, kept_rows)?));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// The addresses as given, if they differ from those on the wire.
fn rewritten(accepted: &Accepted) -> ArrayRef {
    let mut emails = StringBuilder::with_capacity(accepted.places().len(), 0);
    for row in accepted.rewritten() {
        let row = *row as usize;
        emails.append_nulls(row - emails.len());
        emails.append_value(accepted.emails().value(row));
    }
    emails.append_nulls(accepted.places().len() - emails.len());
    Arc::new(emails.finish())
}

fn mask(accepted: &Accepted) -> BooleanArray {
    let mut keep = accepted.keep().iter().map(|row| *row as usize).peekable();
    let mask = BooleanBuffer::collect_bool(accepted.places().len(), |row| keep.next_if_eq(&row).is_some());
    BooleanArray::new(mask, None)
}

/// The same type without dictionaries, views and runs: an Arrow file can't hold a dictionary that
/// changes, and a view keeps its whole source alive.
fn plain(kind: &DataType) -> DataType {
    let item = |field: &Field| Arc::new(field.clone().with_data_type(plain(field.data_type())));
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::LargeBinary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::List(field) | DataType::ListView(field) => DataType::List(item(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => DataType::LargeList(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| item(field)).collect()),
        DataType::Map(field, sorted) => DataType::Map(item(field), *sorted),
        other => other.clone(),
    }
}

/// True when templates can print or test a value of this type.
fn has_value(kind: &DataType) -> bool {
    !matches!(
        kind,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::FixedSizeBinary(_)
            | DataType::Interval(_)
            | DataType::Duration(_)
            | DataType::Union(..)
    )
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{BinaryArray, DictionaryArray, ListArray, StringViewArray};
    use serde_json::json;

    use super::super::value::value;
    use super::*;
    use crate::screen::testing::suppression;
    use crate::screen::{Columns, Limits, Screener};
    use crate::target_group::{Batch, Place};

    /// Types that don't belong in a file are stored as plain ones.
    #[test]
    fn dictionaries_and_views_become_plain() {
        let tiers: ArrayRef =
            Arc::new(["gold", "silver", "gold"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let notes: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("a note longer than twelve"), None, Some("c")]));
        let keys: ArrayRef = Arc::new(BinaryArray::from(vec![b"1".as_slice(), b"2", b"3"]));
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "y", "z"]));
        let item = Arc::new(Field::new("item", DataType::Utf8View, true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths([2, 0, 1]);
        let tags: ArrayRef = Arc::new(ListArray::new(item, offsets, views, None));
        let emails: ArrayRef = Arc::new(StringViewArray::from(vec!["a@b.example", "bad", "c@b.example"]));
        let records = RecordBatch::try_from_iter([
            ("email", emails),
            ("tier", tiers),
            ("note", notes),
            ("key", keys),
            ("tags", tags),
        ])
        .unwrap();

        let layout = Layout::new(&records.schema(), None);
        assert_eq!(layout.left_out(), [LeftOut { column: "key".into(), kind: "Binary".into() }]);
        let checker = suppression(&[]);
        let columns = Columns { email: 0, id: Some(1), name: Some(2) };
        let files = vec!["a.parquet".into()];
        let mut screener =
            Screener::new(&records.schema(), columns, Limits::default(), files, checker).unwrap();
        let places = (1..=3).map(|row| Place { row, line: None }).collect();
        let batch = Batch { file: 0, records, places, unreadable: vec![], stray: vec![] };
        let batch = screener.accept(screener.parser().parse(batch).unwrap()).unwrap();
        let encoded = layout.encode(&batch.accepted).unwrap();

        let kinds = encoded.schema().field(column::COLUMNS).data_type().to_string();
        assert!(!kinds.contains("View") && !kinds.contains("Dictionary"), "{kinds}");
        assert_eq!(encoded.schema(), *layout.schema());
        let names: Vec<_> = encoded.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["file", "row", "address", "email", "id", "name", "columns"]);
        let rows: Vec<_> = (0..2).map(|row| value(encoded.column(column::COLUMNS), row)).collect();
        let note = "a note longer than twelve";
        assert_eq!(
            rows[0],
            json!({ "email": "a@b.example", "tier": "gold", "note": note, "tags": ["x", "y"] })
        );
        assert_eq!(rows[1], json!({ "email": "c@b.example", "tier": "gold", "note": "c", "tags": ["z"] }));
        assert_eq!(value(encoded.column(column::ID), 1), json!("gold"));
    }
}
