//! Tables for tests: one with every type a table can have, cut into batches at will.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, RecordBatch, StringArray,
    StructArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};

use super::Table;

/// Nine rows, in which nulls, NaNs, empty lists and empty texts come up in every place where they can.
pub(crate) fn every_type() -> RecordBatch {
    let floats = [0.5, f64::NAN, -0.0, 0.0, f64::INFINITY, 1e-300, 7.0, -1.0, 2.0];
    let valid = [true, false, true, true, true, false, false, true, true];
    let some = |row: usize| valid[row].then_some(row);
    let text: Vec<Option<&str>> = (0..9).map(|row| some(row).map(|row| ["", "a", "bc", "ü"][row % 4])).collect();
    let bytes: Vec<Option<&[u8]>> = text.iter().map(|text| text.map(str::as_bytes)).collect();
    let list = |row: usize| some(row).map(|row| (0..row % 3).map(|i| (i != 1).then_some(i as f32)).collect::<Vec<_>>());
    let whole = |row: usize| some(row).map(|row| vec![Some(row as i64), None]);
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>((0..9).map(list));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new((0..9).map(|row| some(row).map(|row| row % 2 == 0)).collect::<BooleanArray>())),
        ("i8", Arc::new((0..9).map(|row| some(row).map(|row| row as i8)).collect::<Int8Array>())),
        ("i16", Arc::new((0..9).map(|row| some(row).map(|row| row as i16)).collect::<Int16Array>())),
        ("i32", Arc::new((0..9).map(|row| some(row).map(|row| row as i32)).collect::<Int32Array>())),
        ("i64", Arc::new(Int64Array::from_iter_values(0..9))),
        ("u8", Arc::new(UInt8Array::from_iter_values(0..9))),
        ("u16", Arc::new((0..9).map(|row| some(row).map(|row| row as u16)).collect::<UInt16Array>())),
        ("u32", Arc::new(UInt32Array::from_iter_values(0..9))),
        ("u64", Arc::new((0..9).map(|row| some(row).map(|row| row as u64)).collect::<UInt64Array>())),
        ("f32", Arc::new(Float32Array::from_iter_values(floats.map(|value| value as f32)))),
        ("f64", Arc::new((0..9).map(|row| some(row).map(|row| floats[row])).collect::<Float64Array>())),
        ("utf8", Arc::new(StringArray::from(text.clone()))),
        ("large_utf8", Arc::new(LargeStringArray::from(text))),
        ("binary", Arc::new(BinaryArray::from_opt_vec(bytes.clone()))),
        ("large_binary", Arc::new(LargeBinaryArray::from_opt_vec(bytes))),
        ("list", Arc::new(lists.clone())),
        ("large_list", Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>((0..9).map(whole)))),
        ("fixed", Arc::new(FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>((0..9).map(whole), 2))),
    ];
    let inner = RecordBatch::try_from_iter(vec![columns[11].clone(), ("deep", Arc::new(lists) as ArrayRef)]).unwrap();
    let fields = inner.schema().fields().clone();
    let nulls = columns[0].1.nulls().cloned();
    columns.push(("struct", Arc::new(StructArray::new(fields, inner.columns().to_vec(), nulls))));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

/// The rows of `batch` as batches that end before each of `cuts` (sorted).
pub(crate) fn cut(batch: &RecordBatch, cuts: &[usize]) -> Table {
    let ends = cuts.iter().copied().chain([batch.num_rows()]);
    let mut start = 0;
    let mut batches = Vec::new();
    for end in ends {
        batches.push(batch.slice(start, end - start));
        start = end;
    }
    Table::new(batch.schema(), batches).unwrap()
}
