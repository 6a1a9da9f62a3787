// SPDX-License-Identifier: Apache-2.0
//! Against the server of REDCOL_TEST_URL. Its stream "events" has 250 entries; entry N has the value
//! N - 1000, or none if N is a multiple of 3.
use redcol::{Client, Error, Next, Options};

fn client() -> Client {
    let url = std::env::var("REDCOL_TEST_URL").expect("REDCOL_TEST_URL names the tests' server");
    Client::open(&url, &Options::new()).unwrap()
}

fn values() -> Vec<Option<i64>> {
    (0..250).map(|row| if row % 3 == 0 { None } else { Some(row - 1000) }).collect()
}

#[test]
fn a_range_is_batches_with_names_formats_and_nulls() {
    let options = Options::new().set("batch_rows", 100);
    let mut read = Vec::new();
    for batch in client().read_stream("events", Some("value:l"), &options).unwrap() {
        let batch = batch.unwrap();
        assert_eq!(batch.columns(), 3);
        assert_eq!((batch.name(1), batch.format(1)), (Some("_ts"), Some("l")));
        assert_eq!((batch.name(2), batch.name(3)), (Some("value"), None));
        assert!(batch.int64(0).is_none()); // the ids are strings
        assert!(batch.int64(3).is_none());
        assert_eq!(batch.int64(2).unwrap().count(), batch.rows());
        read.extend(batch.int64(2).unwrap());
    }
    assert_eq!(read, values());
}

#[test]
fn a_batch_outlives_its_read_and_its_client_on_another_thread() {
    let batch = client().read_stream("events", Some("value:l"), &Options::new()).unwrap().next();
    let batch = batch.unwrap().unwrap();
    let read = std::thread::spawn(move || batch.int64(2).unwrap().collect::<Vec<_>>());
    assert_eq!(read.join().unwrap(), values());
}

#[test]
fn the_structs_can_be_taken_out() {
    let batch = client().read_stream("events", None, &Options::new()).unwrap().next();
    let (mut array, mut schema) = batch.unwrap().unwrap().into_raw();
    assert_eq!(array.length, 250);
    unsafe {
        array.release.unwrap()(&mut array);
        schema.release.unwrap()(&mut schema);
    }
    assert!(array.release.is_none() && schema.release.is_none());
}

#[test]
fn what_is_not_acknowledged_comes_again() {
    let options = Options::new()
        .set("group", "rust")
        .set("consumer", "one")
        .set("follow", true)
        .set("on_idle", "stop");
    let read = |count: usize| {
        let options = options.clone().set("count", count);
        client().read_stream("events", Some("value:l"), &options).unwrap()
    };
    let rows = |batch: redcol::Result<redcol::Batch>| batch.unwrap().rows();
    assert_eq!(read(250).map(rows).sum::<usize>(), 250);
    let mut again = read(250);
    assert_eq!(again.by_ref().map(rows).sum::<usize>(), 250);
    assert_eq!(again.acknowledge(), Ok(250));
    assert_eq!(again.acknowledge(), Ok(0));
    assert!(matches!(read(1).next_within(-1), Ok(Next::End)));
}

#[test]
fn entries_are_acknowledged_by_their_ids() {
    let options = Options::new().set("group", "ids").set("consumer", "one");
    let mut read = client().read_stream("events", Some("value:l"), &options).unwrap();
    assert_eq!(read.next().unwrap().unwrap().rows(), 250);
    assert_eq!(read.acknowledge_entries("1-0 2-0 9-9"), Ok(2));
    assert_eq!(read.acknowledge(), Ok(248));
}

#[test]
fn errors_have_a_status_and_a_message() {
    let refused = Client::open("redis://127.0.0.1:1", &Options::new()).unwrap_err();
    assert_eq!(refused.status_name(), "REDCOL_ERROR_CONNECTION");
    assert!(refused.to_string().contains("127.0.0.1:1"));

    let client = client();
    let status = |error: Error| (error.status, error.status_name());
    let options = Options::new().set("batch_row", 1);
    let wrong = client.read_stream("events", None, &options).unwrap_err();
    assert!(wrong.message.contains("batch_rows"));
    assert_eq!(status(wrong), (-1, "REDCOL_ERROR_INVALID_ARGUMENT".to_string()));
    let wrong = client.read_stream("events", Some("value:?"), &Options::new()).unwrap_err();
    assert_eq!(wrong.status_name(), "REDCOL_ERROR_SCHEMA");
    let wrong = Client::open("redis://a\0b", &Options::new()).unwrap_err();
    assert_eq!(wrong.status_name(), "REDCOL_ERROR_INVALID_ARGUMENT");

    let mut read = client.read_stream("text", None, &Options::new()).unwrap();
    let wrong = read.next().unwrap().unwrap_err();
    assert_eq!(wrong.status_name(), "REDCOL_ERROR_WRONG_TYPE");
    assert!(read.next().is_none());
}
