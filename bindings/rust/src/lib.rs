// SPDX-License-Identifier: Apache-2.0
//! Redis Streams as Arrow columns: owners, `Result`s and an iterator over the C interface of redcol.
//! No other crate is needed; the library `libredcol.so` is. `redcol.h` is the manual of the
//! options and of what each call does.
//!
//! ```
//! # let url = std::env::var("REDCOL_TEST_URL").unwrap();
//! use redcol::{Client, Options};
//!
//! let client = Client::open(&url, &Options::new())?;
//! let options = Options::new().set("include_id", false).set("include_timestamp", false);
//! let mut total = 0;
//! for batch in client.read_stream("events", Some("value:l"), &options)? {
//!     total += batch?.int64(0).unwrap().flatten().sum::<i64>();
//! }
//! println!("{}", total);
//! # Ok::<(), redcol::Error>(())
//! ```

mod batch;
pub mod raw;

pub use batch::{Batch, Int64s};

use raw::{ArrowArray, ArrowSchema};
use std::ffi::{c_void, CStr, CString};
use std::fmt;
use std::os::raw::c_char;
use std::ptr;

const OK: i32 = 0;
const END: i32 = 1;
const TIMEOUT: i32 = 2;
const INVALID_ARGUMENT: i32 = -1;

/// What went wrong: a status of `redcol.h` and a message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub status: i32,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The status as it is called in `redcol.h`, such as "REDCOL_ERROR_CONNECTION".
    pub fn status_name(&self) -> String {
        text(unsafe { raw::redcol_status_name(self.status) })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

fn text(from_library: *const c_char) -> String {
    // The library's texts are never NULL and end with a NUL byte.
    unsafe { CStr::from_ptr(from_library) }.to_string_lossy().into_owned()
}

/// Makes a call once, and an error of a negative status.
fn once(call: impl FnOnce(*mut *mut c_void) -> i32) -> Result<i32> {
    let mut error = ptr::null_mut();
    let status = call(&mut error);
    if status >= 0 {
        return Ok(status);
    }
    let message = text(unsafe { raw::redcol_error_message(error) });
    unsafe { raw::redcol_free(error) };
    Err(Error { status, message })
}

/// Makes a call, and again when a signal has ended it.
fn repeated(mut call: impl FnMut(*mut *mut c_void) -> i32) -> Result<i32> {
    loop {
        let status = once(&mut call)?;
        if status != TIMEOUT {
            return Ok(status);
        }
    }
}

fn terminated(given: &str) -> Result<CString> {
    CString::new(given).map_err(|_| Error {
        status: INVALID_ARGUMENT,
        message: format!("{:?} has a NUL byte", given),
    })
}

/// Options of a client or a read, in the order in which they are set.
///
/// ```
/// use redcol::Options;
/// Options::new().set("follow", true).set("batch_rows", 100).set("on_idle", "stop");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    texts: Vec<String>,
}

impl Options {
    pub fn new() -> Options {
        Options::default()
    }

    /// Adds an option. Its value is passed as text, as `redcol.h` wants it.
    pub fn set(mut self, key: &str, value: impl ToString) -> Options {
        self.texts.push(key.to_string());
        self.texts.push(value.to_string());
        self
    }

    fn with<T>(&self, use_them: impl FnOnce(*const *const c_char) -> Result<T>) -> Result<T> {
        let kept = self.texts.iter().map(|text| terminated(text)).collect::<Result<Vec<_>>>()?;
        let mut pointers: Vec<_> = kept.iter().map(|text| text.as_ptr()).collect();
        pointers.push(ptr::null());
        use_them(pointers.as_ptr())
    }
}

/// A server. It serves any number of threads.
#[derive(Debug)]
pub struct Client {
    handle: *mut c_void,
}

// A client may be used from any thread, and from several at once.
unsafe impl Send for Client {}
unsafe impl Sync for Client {}

impl Client {
    /// Connects to a server and logs in.
    pub fn open(url: &str, options: &Options) -> Result<Client> {
        let url = terminated(url)?;
        let mut handle = ptr::null_mut();
        options.with(|pairs| {
            repeated(|error| unsafe { raw::redcol_open(url.as_ptr(), pairs, &mut handle, error) })
        })?;
        Ok(Client { handle })
    }

    /// Starts reading a stream. `schema` is text as for `redcol_schema_new`, such as
    /// "value:l,name:vu"; without one, every field that is found becomes a column.
    pub fn read_stream(
        &self,
        stream: impl AsRef<[u8]>,
        schema: Option<&str>,
        options: &Options,
    ) -> Result<Batches> {
        let stream = stream.as_ref();
        let mut wanted = batch::no_schema();
        if let Some(columns) = schema {
            let columns = terminated(columns)?;
            once(|error| unsafe { raw::redcol_schema_new(columns.as_ptr(), &mut wanted, error) })?;
        }
        let wanted = batch::Schema(wanted);
        let schema = wanted.0.release.map_or(ptr::null(), |_| &wanted.0 as *const ArrowSchema);
        let mut handle = ptr::null_mut();
        options.with(|pairs| {
            repeated(|error| unsafe {
                raw::redcol_read_stream(
                    self.handle,
                    stream.as_ptr().cast(),
                    stream.len() as i64,
                    schema,
                    pairs,
                    &mut handle,
                    error,
                )
            })
        })?;
        Ok(Batches { handle, failed: false })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        unsafe { raw::redcol_free(self.handle) }
    }
}

/// The batches of a read, which may outlive its client. It is an iterator that ends after the last
/// batch or the first error; `next_within` continues after errors that are not the end.
#[derive(Debug)]
pub struct Batches {
    handle: *mut c_void,
    failed: bool,
}

// An iterator may be used from any thread, one at a time.
unsafe impl Send for Batches {}

/// What a wait for a batch has brought.
#[derive(Debug)]
pub enum Next {
    Batch(Batch),
    /// Nothing within the time, or a signal came: ask again.
    Nothing,
    /// There are no more batches.
    End,
}

impl Batches {
    /// Waits for the next batch for so many milliseconds; -1: for as long as it takes.
    pub fn next_within(&mut self, wait_ms: i64) -> Result<Next> {
        let mut schema = batch::no_schema();
        let mut array = batch::no_array();
        let status = once(|error| {
            let array: *mut ArrowArray = &mut array;
            unsafe { raw::redcol_iter_next(self.handle, wait_ms, &mut schema, array, error) }
        })?;
        Ok(match status {
            OK => Next::Batch(Batch::new(array, schema)),
            END => Next::End,
            _ => Next::Nothing,
        })
    }

    /// Acknowledges all entries that were handed over to this member of a group. Returns how many
    /// of them were pending.
    pub fn acknowledge(&mut self) -> Result<i64> {
        self.acknowledge_ids(ptr::null(), 0)
    }

    /// Acknowledges entries by their ids, with a space between two. Only for reads of one stream.
    pub fn acknowledge_entries(&mut self, entry_ids: &str) -> Result<i64> {
        self.acknowledge_ids(entry_ids.as_ptr().cast(), entry_ids.len() as i64)
    }

    fn acknowledge_ids(&mut self, ids: *const c_char, length: i64) -> Result<i64> {
        // After a signal the next call acknowledges the rest, and counts only that.
        let mut total = 0;
        loop {
            let mut count = 0;
            let status = once(|error| unsafe {
                let no_stream = ptr::null();
                raw::redcol_iter_ack(self.handle, no_stream, 0, ids, length, &mut count, error)
            })?;
            total += count;
            if status != TIMEOUT {
                return Ok(total);
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        while !self.failed {
            match self.next_within(-1) {
                Ok(Next::Batch(batch)) => return Some(Ok(batch)),
                Ok(Next::Nothing) => continue,
                Ok(Next::End) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        unsafe { raw::redcol_free(self.handle) }
    }
}
