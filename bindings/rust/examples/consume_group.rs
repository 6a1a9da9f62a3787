// SPDX-License-Identifier: Apache-2.0
//! Sums a stream's values as a member of a consumer group, and acknowledges each batch after it:
//!   cargo run --example consume_group URL STREAM GROUP CONSUMER ENTRIES
use redcol::{Client, Options, Result};

fn run(arguments: &[String]) -> Result<()> {
    let client = Client::open(&arguments[0], &Options::new())?;
    let options = Options::new()
        .set("group", &arguments[2])
        .set("consumer", &arguments[3])
        .set("follow", true)
        .set("count", &arguments[4])
        .set("batch_rows", 100)
        .set("include_id", false)
        .set("include_timestamp", false);
    let mut batches = client.read_stream(&arguments[1], Some("value:l"), &options)?;
    let (mut entries, mut total) = (0, 0);
    while let Some(batch) = batches.next() {
        let batch = batch?;
        total += batch.int64(0).into_iter().flatten().flatten().sum::<i64>();
        entries += batch.rows();
        batches.acknowledge()?;
    }
    println!("{} entries, sum {}", entries, total);
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.len() != 5 {
        eprintln!("usage: consume_group URL STREAM GROUP CONSUMER ENTRIES");
        std::process::exit(2);
    }
    if let Err(error) = run(&arguments) {
        eprintln!("{}", error);
        std::process::exit(1);
    }
}
