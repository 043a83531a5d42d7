//! The logical digest of a table: over what it says, not over how it is stored.
//!
//! Columns are hashed one after the other, each as if its batches were one array: first which rows are null, then the
//! values of the rows that are not. Lists feed the lengths of the valid rows and then their values as a column of its
//! own; structs feed their children likewise. What lies under a null, where batches end and how buffers are offset is
//! thus never seen, and a column of numbers without nulls is hashed in whole slices.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, OffsetSizeTrait};
use arrow_schema::{DataType, Field, Schema};

use super::{Table, TableError};
use crate::content_hash::{ContentHash, Digest, Hasher};

/// Version of what is fed; raising it changes every digest, and so every key.
const TABLE_FORMAT: u32 = 1;

/// Values that are looked at together.
const CHUNK: usize = 8192;

/// Whether `field` and all that is nested in it has a type that tables can keep; `path` names it in the error.
pub(super) fn check(field: &Field, path: &str) -> Result<(), TableError> {
    match field.data_type() {
        DataType::List(child) | DataType::LargeList(child) | DataType::FixedSizeList(child, _) => {
            check(child, &format!("{path}.{}", child.name()))
        }
        DataType::Struct(children) if !children.is_empty() => {
            children.iter().try_for_each(|child| check(child, &format!("{path}.{}", child.name())))
        }
        other => match leaf_name(other) {
            Some(_) => Ok(()),
            None => Err(TableError::Unsupported { column: path.to_owned(), found: other.to_string() }),
        },
    }
}

/// The name under which a type without children is hashed.
fn leaf_name(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large-utf8",
        DataType::Binary => "binary",
        DataType::LargeBinary => "large-binary",
        _ => return None,
    })
}

/// The digest of a table whose types were checked.
pub(super) fn digest(table: &Table) -> Digest {
    let mut hasher = Hasher::new();
    hasher.variant("duress table");
    TABLE_FORMAT.feed(&mut hasher);
    feed_schema(&mut hasher, table.schema());
    hasher.length(table.rows());
    for (index, field) in table.schema().fields().iter().enumerate() {
        let segments: Vec<ArrayRef> = table.batches().iter().map(|batch| batch.column(index).clone()).collect();
        feed_column(&mut hasher, field.data_type(), &segments);
    }
    hasher.finish()
}

fn feed_schema(hasher: &mut Hasher, schema: &Schema) {
    sorted(schema.metadata()).feed(hasher);
    hasher.length(schema.fields().len());
    schema.fields().iter().for_each(|field| feed_field(hasher, field));
}

fn sorted<'a>(metadata: impl IntoIterator<Item = (&'a String, &'a String)>) -> BTreeMap<&'a String, &'a String> {
    metadata.into_iter().collect()
}

fn feed_field(hasher: &mut Hasher, field: &Field) {
    field.name().feed(hasher);
    field.is_nullable().feed(hasher);
    sorted(field.metadata()).feed(hasher);
    match field.data_type() {
        DataType::List(child) => {
            hasher.variant("list");
            feed_field(hasher, child);
        }
        DataType::LargeList(child) => {
            hasher.variant("large-list");
            feed_field(hasher, child);
        }
        DataType::FixedSizeList(child, length) => {
            hasher.variant("fixed-size-list");
            length.feed(hasher);
            feed_field(hasher, child);
        }
        DataType::Struct(children) => {
            hasher.variant("struct");
            hasher.length(children.len());
            children.iter().for_each(|child| feed_field(hasher, child));
        }
        leaf => hasher.variant(leaf_name(leaf).expect("a table's types were checked when it was made")),
    }
}

/// Feeds the concatenation of `segments`, all of type `data_type`.
fn feed_column(hasher: &mut Hasher, data_type: &DataType, segments: &[ArrayRef]) {
    feed_nulls(hasher, segments);
    match data_type {
        DataType::Boolean => each_valid(segments, |array, rows| {
            let bits = array.as_boolean();
            rows.for_each(|row| hasher.raw(&[u8::from(bits.value(row))]));
        }),
        DataType::Int8 => numbers::<Int8Type, _>(hasher, segments, i8::to_le_bytes, |_| true),
        DataType::Int16 => numbers::<Int16Type, _>(hasher, segments, i16::to_le_bytes, |_| true),
        DataType::Int32 => numbers::<Int32Type, _>(hasher, segments, i32::to_le_bytes, |_| true),
        DataType::Int64 => numbers::<Int64Type, _>(hasher, segments, i64::to_le_bytes, |_| true),
        DataType::UInt8 => numbers::<UInt8Type, _>(hasher, segments, u8::to_le_bytes, |_| true),
        DataType::UInt16 => numbers::<UInt16Type, _>(hasher, segments, u16::to_le_bytes, |_| true),
        DataType::UInt32 => numbers::<UInt32Type, _>(hasher, segments, u32::to_le_bytes, |_| true),
        DataType::UInt64 => numbers::<UInt64Type, _>(hasher, segments, u64::to_le_bytes, |_| true),
        DataType::Float32 => numbers::<Float32Type, _>(hasher, segments, canonical32, |value| !value.is_nan()),
        DataType::Float64 => numbers::<Float64Type, _>(hasher, segments, canonical64, |value| !value.is_nan()),
        DataType::Utf8 => {
            each_value(segments, |array, row| hasher.bytes(array.as_string::<i32>().value(row).as_bytes()));
        }
        DataType::LargeUtf8 => {
            each_value(segments, |array, row| hasher.bytes(array.as_string::<i64>().value(row).as_bytes()));
        }
        DataType::Binary => each_value(segments, |array, row| hasher.bytes(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => each_value(segments, |array, row| hasher.bytes(array.as_binary::<i64>().value(row))),
        DataType::List(child) => lists::<i32>(hasher, child.data_type(), segments),
        DataType::LargeList(child) => lists::<i64>(hasher, child.data_type(), segments),
        DataType::FixedSizeList(child, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            let mut children = Vec::new();
            each_valid(segments, |array, rows| {
                let values = array.as_fixed_size_list().values();
                children.push(values.slice(rows.start * length, rows.len() * length));
            });
            feed_column(hasher, child.data_type(), &children);
        }
        DataType::Struct(fields) => {
            for (index, field) in fields.iter().enumerate() {
                let mut children = Vec::new();
                each_valid(segments, |array, rows| {
                    children.push(array.as_struct().column(index).slice(rows.start, rows.len()));
                });
                feed_column(hasher, field.data_type(), &children);
            }
        }
        _ => unreachable!("a table's types were checked when it was made"),
    }
}

/// Feeds how many rows are null, and which.
fn feed_nulls(hasher: &mut Hasher, segments: &[ArrayRef]) {
    hasher.length(segments.iter().map(Array::null_count).sum());
    let mut before = 0;
    for array in segments {
        if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            (0..array.len()).filter(|&row| nulls.is_null(row)).for_each(|row| hasher.length(before + row));
        }
        before += array.len();
    }
}

/// Visits the runs of rows that are not null.
fn each_valid(segments: &[ArrayRef], mut visit: impl FnMut(&ArrayRef, Range<usize>)) {
    for array in segments {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => visit(array, 0..array.len()),
            Some(nulls) => nulls.valid_slices().for_each(|(start, end)| visit(array, start..end)),
        }
    }
}

/// Visits the rows that are not null.
fn each_value(segments: &[ArrayRef], mut visit: impl FnMut(&ArrayRef, usize)) {
    each_valid(segments, |array, rows| rows.for_each(|row| visit(array, row)));
}

/// Feeds numbers as their little-endian bytes: whole slices where those in memory are canonical.
fn numbers<T: ArrowPrimitiveType, const WIDTH: usize>(
    hasher: &mut Hasher,
    segments: &[ArrayRef],
    canonical: fn(T::Native) -> [u8; WIDTH],
    is_canonical: fn(T::Native) -> bool,
) {
    let mut buffer = Vec::new();
    each_valid(segments, |array, rows| {
        let values = array.as_primitive::<T>().values().slice(rows.start, rows.len());
        let in_memory = values.inner().as_slice();
        for (chunk, bytes) in values.chunks(CHUNK).zip(in_memory.chunks(CHUNK * WIDTH)) {
            if cfg!(target_endian = "little") && chunk.iter().all(|value| is_canonical(*value)) {
                hasher.raw(bytes);
            } else {
                buffer.clear();
                buffer.extend(chunk.iter().flat_map(|value| canonical(*value)));
                hasher.raw(&buffer);
            }
        }
    });
}

fn canonical32(value: f32) -> [u8; 4] {
    if value.is_nan() { f32::NAN.to_le_bytes() } else { value.to_le_bytes() }
}

fn canonical64(value: f64) -> [u8; 8] {
    if value.is_nan() { f64::NAN.to_le_bytes() } else { value.to_le_bytes() }
}

/// Feeds the lengths of the valid lists, then their values as one column.
fn lists<O: OffsetSizeTrait>(hasher: &mut Hasher, child: &DataType, segments: &[ArrayRef]) {
    let mut children = Vec::new();
    each_valid(segments, |array, rows| {
        let lists = array.as_list::<O>();
        let offsets = &lists.value_offsets()[rows.start..=rows.end];
        offsets.windows(2).for_each(|pair| hasher.length((pair[1] - pair[0]).as_usize()));
        if let (Some(first), Some(last)) = (offsets.first(), offsets.last()) {
            children.push(lists.values().slice(first.as_usize(), (*last - *first).as_usize()));
        }
    });
    feed_column(hasher, child, &children);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
    use arrow_buffer::NullBuffer;
    use proptest::prelude::*;

    use super::super::samples::{cut, every_type};
    use super::*;

    fn one(name: &str, column: ArrayRef) -> Table {
        Table::from_batch(RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()).unwrap()
    }

    fn floats(values: Vec<Option<f64>>) -> Table {
        one("value", Arc::new(Float64Array::from(values)))
    }

    #[test]
    fn a_digest_is_over_the_bytes_that_the_documentation_promises() {
        let column = Int64Array::from(vec![Some(5), None, Some(-1)]);
        let le = |value: u64| value.to_le_bytes();
        let fed = [
            &le(12)[..],
            b"duress table",
            &le(1),
            &le(0), // no metadata
            &le(1), // one column
            &le(1),
            b"n",
            &[1],
            &le(0),
            &le(5),
            b"int64",
            &le(3), // rows
            &le(1), // nulls, and where
            &le(1),
            &5_i64.to_le_bytes(),
            &(-1_i64).to_le_bytes(),
        ]
        .concat();
        assert_eq!(one("n", Arc::new(column)).digest().to_string(), blake3::hash(&fed).to_hex().as_str());
    }

    #[test]
    fn digests_are_those_of_the_first_release() {
        assert_eq!(
            cut(&every_type(), &[]).digest().to_string(),
            "bb7d9abac0adc562e3960e3559f11acc0c941167ad4d0f56419f10214126937e"
        );
    }

    #[test]
    fn the_name_the_type_nullability_and_metadata_are_part_of_it() {
        let base = floats(vec![Some(1.0)]);
        let column = base.column("value").unwrap();
        let field = || Field::new("value", DataType::Float64, true);
        let of = |field: Field, metadata: HashMap<String, String>| {
            let schema = Arc::new(Schema::new_with_metadata(vec![field], metadata));
            Table::from_batch(RecordBatch::try_new(schema, vec![column.clone()]).unwrap()).unwrap().digest()
        };
        let unit = HashMap::from([("unit".to_owned(), "s".to_owned())]);
        assert_eq!(of(field(), HashMap::new()), base.digest());
        let others = [
            of(field().with_name("values"), HashMap::new()),
            of(field().with_nullable(false), HashMap::new()),
            of(field().with_metadata(unit.clone()), HashMap::new()),
            of(field(), unit),
            one("value", Arc::new(Int64Array::from(vec![1]))).digest(),
            one("value", Arc::new(Int64Array::from_iter([Some(0x3ff0_0000_0000_0000)]))).digest(),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, base.digest(), "{index}");
            assert!(!others[..index].contains(other), "{index}");
        }
    }

    #[test]
    fn metadata_has_no_order() {
        let table = floats(vec![Some(1.0)]);
        let with = |keys: [&str; 8]| {
            keys.iter().fold(table.clone(), |table, key| table.with_metadata(*key, "x").unwrap()).digest()
        };
        let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut backwards = keys;
        backwards.reverse();
        assert_eq!(with(keys), with(backwards));
    }

    #[test]
    fn nulls_and_nans_are_canonical_and_unlike_zero() {
        let odd = f64::from_bits(0x7ff0_0000_0000_0001);
        assert_eq!(floats(vec![Some(odd)]).digest(), floats(vec![Some(-f64::NAN)]).digest());
        // What lies under a null is never seen.
        let under = |value: f64| Float64Array::new(vec![1.0, value].into(), Some(NullBuffer::from(vec![true, false])));
        assert_eq!(one("x", Arc::new(under(3.0))).digest(), one("x", Arc::new(under(4.0))).digest());
        let different = [vec![None], vec![Some(0.0)], vec![Some(-0.0)], vec![Some(f64::NAN)], vec![None, None], vec![]];
        let digests: Vec<_> = different.into_iter().map(|values| floats(values).digest()).collect();
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{index}");
        }
        assert_ne!(floats(vec![None, Some(1.0)]).digest(), floats(vec![Some(1.0), None]).digest());
    }

    #[test]
    fn what_lies_under_a_null_struct_is_never_seen() {
        let of = |hidden: &str| {
            let inner: ArrayRef = Arc::new(StringArray::from(vec!["a", hidden]));
            let fields = vec![Field::new("s", DataType::Utf8, false)].into();
            one("x", Arc::new(StructArray::new(fields, vec![inner], Some(NullBuffer::from(vec![true, false])))))
        };
        assert_eq!(of("b").digest(), of("c").digest());
    }

    #[test]
    fn text_is_framed() {
        let of = |values: Vec<&str>| one("x", Arc::new(StringArray::from(values))).digest();
        assert_ne!(of(vec!["ab", "cd"]), of(vec!["a", "bcd"]));
        assert_ne!(of(vec!["", "a"]), of(vec!["a", ""]));
    }

    #[test]
    fn the_order_of_rows_and_of_columns_is_part_of_it() {
        let batch = every_type();
        let reversed: Vec<u64> = (0..9).rev().collect();
        let rows = arrow_array::UInt64Array::from(reversed);
        let taken = arrow_select::take::take_record_batch(&batch, &rows).unwrap();
        assert_ne!(cut(&taken, &[]).digest(), cut(&batch, &[]).digest());
        let columns: Vec<usize> = (0..batch.num_columns()).rev().collect();
        assert_ne!(cut(&batch.project(&columns).unwrap(), &[]).digest(), cut(&batch, &[]).digest());
    }

    #[test]
    fn types_that_tables_do_not_have_are_refused_by_name() {
        let nested = Field::new("t", DataType::Date32, true);
        let list = Field::new("outer", DataType::List(Arc::new(nested)), true);
        let error = Table::new(Arc::new(Schema::new(vec![list])), vec![]).unwrap_err();
        assert!(error.to_string().starts_with("keep column `outer.t` of type Date32: use booleans"), "{error}");
    }

    proptest! {
        #[test]
        fn where_batches_end_has_no_meaning(mut cuts in prop::collection::vec(0_usize..=9, 0..5)) {
            cuts.sort_unstable();
            let batch = every_type();
            prop_assert_eq!(cut(&batch, &cuts).digest(), cut(&batch, &[]).digest());
        }

        #[test]
        fn different_columns_have_different_digests(
            a in prop::collection::vec(prop::option::of(0_i64..3), 0..4),
            b in prop::collection::vec(prop::option::of(0_i64..3), 0..4),
        ) {
            let of = |values: &[Option<i64>]| one("x", Arc::new(Int64Array::from(values.to_vec()))).digest();
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }
    }
}
