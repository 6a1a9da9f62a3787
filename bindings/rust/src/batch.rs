// SPDX-License-Identifier: Apache-2.0
//! Owners of Arrow structs, and columns of integers.

use crate::raw::{ArrowArray, ArrowSchema};
use std::ffi::CStr;
use std::mem;
use std::os::raw::c_char;

pub(crate) fn no_schema() -> ArrowSchema {
    // All fields are pointers and numbers, for which zero means that there is nothing.
    unsafe { mem::zeroed() }
}

pub(crate) fn no_array() -> ArrowArray {
    unsafe { mem::zeroed() }
}

/// Releases a schema when it goes away.
#[derive(Debug)]
pub(crate) struct Schema(pub ArrowSchema);

impl Drop for Schema {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            unsafe { release(&mut self.0) }
        }
    }
}

/// Rows as columns. It owns its memory, and may outlive the read and the client.
#[derive(Debug)]
pub struct Batch {
    array: ArrowArray,
    schema: Schema,
}

// What the library has handed over is never written again, and may be released on any thread.
unsafe impl Send for Batch {}
unsafe impl Sync for Batch {}

impl Batch {
    pub(crate) fn new(array: ArrowArray, schema: ArrowSchema) -> Batch {
        Batch { array, schema: Schema(schema) }
    }

    pub fn rows(&self) -> usize {
        self.array.length as usize
    }

    pub fn columns(&self) -> usize {
        self.array.n_children as usize
    }

    /// The name of a column; `None` if there is no such column.
    pub fn name(&self, column: usize) -> Option<&str> {
        Some(as_text(unsafe { (*self.column_schema(column)?).name }))
    }

    /// The Arrow format of a column, such as "l"; `None` if there is no such column.
    pub fn format(&self, column: usize) -> Option<&str> {
        Some(as_text(unsafe { (*self.column_schema(column)?).format }))
    }

    /// The values of a column of 64-bit integers, `None` for null. There is none if the column does
    /// not exist or has another type.
    pub fn int64(&self, column: usize) -> Option<Int64s<'_>> {
        if self.format(column)? != "l" {
            return None;
        }
        let array: &ArrowArray = unsafe { &**self.array.children.add(column) };
        Some(Int64s { array, row: 0 })
    }

    /// The structs, for an Arrow library that imports them: their new owner calls their release
    /// functions.
    pub fn into_raw(mut self) -> (ArrowArray, ArrowSchema) {
        let array = mem::replace(&mut self.array, no_array());
        (array, mem::replace(&mut self.schema.0, no_schema()))
    }

    fn column_schema(&self, column: usize) -> Option<*const ArrowSchema> {
        if column >= self.columns() {
            return None;
        }
        Some(unsafe { *self.schema.0.children.add(column) })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(release) = self.array.release {
            unsafe { release(&mut self.array) }
        }
    }
}

fn as_text<'a>(from_library: *const c_char) -> &'a str {
    // The library's names are UTF-8.
    unsafe { CStr::from_ptr(from_library) }.to_str().unwrap_or("")
}

/// The values of a column of integers.
#[derive(Debug)]
pub struct Int64s<'a> {
    array: &'a ArrowArray,
    row: usize,
}

impl Iterator for Int64s<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Option<i64>> {
        if self.row >= self.array.length as usize {
            return None;
        }
        let place = self.array.offset as usize + self.row;
        self.row += 1;
        unsafe {
            let validity: *const u8 = (*self.array.buffers).cast();
            let values: *const i64 = (*self.array.buffers.add(1)).cast();
            let is_there = validity.is_null() || *validity.add(place / 8) >> (place % 8) & 1 == 1;
            Some(if is_there { Some(*values.add(place)) } else { None })
        }
    }
}
