// SPDX-License-Identifier: Apache-2.0
//! What is used of redcol.h, and the structs of the Arrow C Data Interface.

use std::ffi::c_void;
use std::os::raw::c_char;

/// A column's or a batch's schema, as the Arrow C Data Interface fixes it.
#[derive(Debug)]
#[repr(C)]
pub struct ArrowSchema {
    pub format: *const c_char,
    pub name: *const c_char,
    pub metadata: *const c_char,
    pub flags: i64,
    pub n_children: i64,
    pub children: *mut *mut ArrowSchema,
    pub dictionary: *mut ArrowSchema,
    pub release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    pub private_data: *mut c_void,
}

/// A column's or a batch's values, as the Arrow C Data Interface fixes them.
#[derive(Debug)]
#[repr(C)]
pub struct ArrowArray {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    pub dictionary: *mut ArrowArray,
    pub release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub private_data: *mut c_void,
}

#[link(name = "redcol")]
extern "C" {
    pub fn redcol_open(
        url: *const c_char,
        options: *const *const c_char,
        client_out: *mut *mut c_void,
        error_out: *mut *mut c_void,
    ) -> i32;
    pub fn redcol_schema_new(
        text: *const c_char,
        schema_out: *mut ArrowSchema,
        error_out: *mut *mut c_void,
    ) -> i32;
    pub fn redcol_read_stream(
        client: *mut c_void,
        stream: *const c_char,
        stream_length: i64,
        schema: *const ArrowSchema,
        options: *const *const c_char,
        iter_out: *mut *mut c_void,
        error_out: *mut *mut c_void,
    ) -> i32;
    pub fn redcol_iter_next(
        iter: *mut c_void,
        wait_ms: i64,
        schema_out: *mut ArrowSchema,
        batch_out: *mut ArrowArray,
        error_out: *mut *mut c_void,
    ) -> i32;
    pub fn redcol_iter_ack(
        iter: *mut c_void,
        stream: *const c_char,
        stream_length: i64,
        entry_ids: *const c_char,
        entry_ids_length: i64,
        acknowledged_out: *mut i64,
        error_out: *mut *mut c_void,
    ) -> i32;
    pub fn redcol_free(handle: *mut c_void);
    pub fn redcol_error_message(error: *const c_void) -> *const c_char;
    pub fn redcol_status_name(status: i32) -> *const c_char;
}
