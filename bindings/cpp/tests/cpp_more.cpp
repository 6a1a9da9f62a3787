// SPDX-License-Identifier: Apache-2.0
/* The parts of redcol.hpp about many streams, ranges, texts and credentials, as cpp_reader.cpp is
   for the rest: cpp_more URL */
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "redcol.hpp"

using redcol::Batch;
using redcol::Client;
using redcol::Column;
using redcol::Error;
using redcol::Exception;
using redcol::Options;
using redcol::Reader;
using redcol::Schema;
using redcol::Table;
using redcol::Writer;
using std::string_view;

static int failures = 0;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                         \
      failures++;                                                                                  \
    }                                                                                              \
  } while (0)

template <class Call> static std::string thrown(Call call) {
  try {
    call();
  } catch (const Exception &error) {
    return std::string(redcol_status_name(error.status())) + ": " + error.what();
  }
  return "";
}

static bool contains(const std::string &text, string_view part) {
  return text.find(part) != std::string::npos;
}

static std::size_t rows_of(Reader reader) {
  std::size_t rows = 0;
  for (const Batch &batch : reader)
    rows += batch.size();
  return rows;
}

/* -- Columns as ranges */

using Numbers = Column<std::int64_t>;
using Walk = std::iterator_traits<Numbers::Iterator>;
static_assert(std::is_same_v<Walk::value_type, std::optional<std::int64_t>>);
static_assert(std::is_base_of_v<std::input_iterator_tag, Walk::iterator_category>);
static_assert(std::is_default_constructible_v<Numbers::Iterator>);
static_assert(std::is_nothrow_copy_constructible_v<Numbers>);
#if defined(__cpp_lib_ranges)
static_assert(std::ranges::random_access_range<Numbers> && std::ranges::sized_range<Numbers>);
static_assert(std::ranges::common_range<const Numbers> && std::ranges::view<Numbers>);
static_assert(std::ranges::borrowed_range<Column<string_view>>);
static_assert(std::ranges::input_range<Reader::Batches>);
#endif

static void columns(Client &client) {
  Reader reader = client.read("numbers", Schema().add<std::int64_t>("n"));
  Batch batch;
  CHECK(reader.next(batch) == REDCOL_OK);
  const Numbers numbers = batch.column<std::int64_t>("n");
  const auto begin = numbers.begin(), end = numbers.end();
  CHECK(end - begin == 25 && std::distance(begin, end) == 25 && begin[3] == 4);
  CHECK(*(begin + 5) == 6 && *(1 + begin) == 2 && *(end - 1) == 25 && begin->value() == 1);
  CHECK(begin < end && end > begin && begin <= begin && begin >= begin && begin != end);
  auto walk = begin;
  CHECK(*walk++ == 1 && *walk-- == 2 && *++walk == 2 && *--walk == 1);
  walk += 24;
  CHECK(*walk == 25 && *(walk -= 4) == 21);
  const auto sum = std::accumulate(
      begin, end, std::int64_t{0},
      [](std::int64_t total, std::optional<std::int64_t> value) { return total + *value; });
  CHECK(sum == 325);
  CHECK(std::find(begin, end, std::optional<std::int64_t>(7)) - begin == 6);
  CHECK(std::count_if(begin, end, [](auto value) { return *value % 2 == 0; }) == 12);
  CHECK(*std::max_element(begin, end) == 25);
  CHECK(std::all_of(begin, end, [](auto value) { return value.has_value(); }));
  const std::vector<std::optional<std::int64_t>> copied(begin, end);
  CHECK(std::equal(begin, end, copied.begin(), copied.end()));
  std::vector<std::int64_t> plain;
  std::transform(begin, end, std::back_inserter(plain), [](auto value) { return *value; });
  CHECK(plain.size() == 25 && plain.back() == 25);
  /* an iterator does not need its column, nor the column its place */
  auto of_temporary = batch.column<std::int64_t>("n").begin();
  CHECK(*of_temporary == 1);
  const Numbers none;
  CHECK(none.empty() && none.begin() == none.end() && none.null_count() == 0 && !none.at(0));
  CHECK(Numbers::Iterator() == Numbers::Iterator());
#if defined(__cpp_lib_ranges)
  auto even = batch.column<std::int64_t>("n") |
              std::views::filter([](auto value) { return *value % 2 == 0; }) |
              std::views::transform([](auto value) { return *value / 2; });
  CHECK(std::ranges::equal(even | std::views::take(3), std::array{1, 2, 3}));
  CHECK(std::ranges::lower_bound(numbers, std::optional<std::int64_t>(20)) - begin == 19);
  CHECK(std::ranges::find(batch.column<std::int64_t>("n"), 9) - begin == 8);
#endif

  CHECK(thrown([&] { batch.column<double>("n"); }) ==
        "REDCOL_ERROR_SCHEMA: the column \"n\" has the Arrow format \"l\", whose values are not of "
        "the type double");
  CHECK(thrown([&] { batch.column<double>("none"); }) ==
        "REDCOL_ERROR_SCHEMA: the batch has no column \"none\"; it has \"_id\", \"_ts\", \"n\"");
  CHECK(thrown([&] { batch.column<double>(7); }) ==
        "REDCOL_ERROR_SCHEMA: the batch has no column 7: it has 3");
  CHECK(contains(thrown([&] { batch.column<redcol::Decimal128>(0); }), "redcol::Decimal128"));
  CHECK(contains(thrown([&] { Batch().column<bool>("n"); }), "it has none"));
  Error error;
  CHECK(batch.column<bool>("n", error).empty() && contains(error.message(), "type bool"));
  CHECK(batch.column<std::int64_t>("n", error).size() == 25 && !error);
}

/* -- Several streams */

static void many_streams(Client &client) {
  Error error;
  const Options stop = Options().set("follow", true).set("count", 3).set("stream_column", "key");
  const std::vector<std::string> strings = {"numbers", "texts"};
  const std::vector<string_view> views = {"numbers", "texts"};
  const std::array<const char *, 2> pointers = {"numbers", "texts"};
  const char *const array[] = {"numbers", "texts"};
  const Schema schema = Schema().add("n", "l");
  CHECK(rows_of(client.read(strings, stop)) == 3 && rows_of(client.read(views, stop)) == 3);
  CHECK(rows_of(client.read(strings, schema, stop)) == 3);
  CHECK(rows_of(client.read(views, schema, stop)) == 3);
  CHECK(rows_of(client.read(pointers, stop)) == 3 && rows_of(client.read(array, stop)) == 3);
  CHECK(rows_of(client.read({"numbers", "texts"}, stop)) == 3);
  CHECK(rows_of(client.read({"numbers", "texts"}, schema, stop)) == 3);
  CHECK(rows_of(client.read({strings[0], strings[1]}, stop)) == 3);
  CHECK(rows_of(client.read({"numbers"}, stop)) == 3 && rows_of(client.read("numbers", stop)) == 3);
  CHECK(rows_of(client.read(strings[0])) == 25 && rows_of(client.read(views[0], schema)) == 25);
  CHECK(rows_of(client.read({"numbers", "texts"}, {{"follow", "true"}, {"count", "2"}})) == 2);
  CHECK(rows_of(client.read({"numbers", "texts"}, stop, error)) == 3 && !error);
  CHECK(rows_of(client.read({"numbers", "texts"}, schema, stop, error)) == 3 && !error);
  CHECK(rows_of(client.read(strings, stop, error)) == 3 && !error);
  CHECK(rows_of(client.read(strings, schema, stop, error)) == 3 && !error);
  CHECK(!client.read(std::vector<std::string>(), stop, error) && error);

  CHECK(rows_of(client.read_ranges({"numbers", "texts"})) == 30);
  CHECK(rows_of(client.read_ranges(strings, schema, {{"count_per_stream", "2"}})) == 4);
  CHECK(rows_of(client.read_ranges(std::vector<std::string>())) == 0);
  CHECK(rows_of(client.read_ranges({string_view("t\0o", 3)}, schema)) == 1);
  CHECK(rows_of(client.read_ranges({"numbers", "texts"}, schema, {}, error)) == 30 && !error);
  CHECK(rows_of(client.read_ranges(views, Options(), error)) == 30 && !error);
  CHECK(rows_of(client.read_matching("number*")) == 25);
  CHECK(rows_of(client.read_matching(string_view("t\0*", 3), schema)) == 1);
  CHECK(rows_of(client.read_matching("number*", schema, {{"count", "4"}}, error)) == 4 && !error);
  CHECK(!client.read_matching("n*", {{"group", "g"}, {"consumer", "c"}}, error) && error);
}

/* Somebody publishes {"n": 1} to "numbers" again and again. */
static void subscriptions(Client &client) {
  Error error;
  const Options three = Options().set("count", 3);
  const Schema schema = Schema().add("n", "l");
  CHECK(rows_of(client.subscribe("numbers", {}, three)) == 3);
  CHECK(rows_of(client.subscribe({}, {"num*"}, three)) == 3);
  CHECK(rows_of(client.subscribe({"numbers", "other"}, {"num*"}, schema, three)) == 3);
  CHECK(rows_of(client.subscribe("numbers", {}, three, error)) == 3 && !error);
  CHECK(rows_of(client.subscribe("silent", {}, schema, {{"window_ms", "10"}}, error)) == 0);
  CHECK(!error && !client.subscribe({}, {}, three, error) && error);
}

static std::string first_of(const Table &table, const char *column) {
  ArrowArrayStream stream;
  table.stream(&stream);
  Batch batch;
  const auto [schema, array] = batch.out();
  CHECK(stream.get_schema(&stream, schema) == 0 && stream.get_next(&stream, array) == 0);
  stream.release(&stream);
  return std::string(batch.column<string_view>(column).at(0).value_or("null"));
}

static void lists(Client &client) {
  const std::vector<std::string> names = {"texts", "numbers", "missing"};
  CHECK(client.list_streams().size() == 4);
  CHECK(client.list_streams("n*").size() == 1 && client.list_streams(names).size() == 2);
  CHECK(first_of(client.list_streams({"texts", "numbers"}), "stream") == "numbers");
  CHECK(contains(thrown([&] { client.list_streams("key"); }), "WRONGTYPE"));
  CHECK(client.list_groups("numbers").size() == 0);
  const Options member = {{"group", "lists"}, {"consumer", "c"}, {"count", "3"}};
  CHECK(rows_of(client.read("numbers", member)) == 3);
  CHECK(first_of(client.list_groups("num*", {{"exact", "true"}}), "last_delivered_id") == "3-1");
  CHECK(first_of(client.list_consumers("*"), "consumer") == "c");
  CHECK(client.list_consumers({"numbers"}, "lists").size() == 1);
  const Table pending = client.list_pending("numbers", "lists", {{"start_id", "(1-1"}});
  CHECK(pending.size() == 2 && first_of(pending, "_id") == "2-1");
  Error error;
  CHECK(!client.list_consumers("numbers", "other", error) &&
        error.status() == REDCOL_ERROR_NO_GROUP);
  CHECK(!client.list_groups("*", {{"exactly", "true"}}, error) &&
        error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(client.partitions("numbers").size() == 1);
  CHECK(client.partitions({"numbers", "texts"}, {{"rows", "1"}, {"end_id", "2"}}).size() >= 2);
  CHECK(first_of(client.partitions("numbers", {{"rows", "1"}}), "start_id") == "1-1");
  CHECK(!client.partitions("*", {{"rows", "0"}}, error) &&
        error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(contains(thrown([&] { client.partitions("key"); }), "WRONGTYPE"));
  CHECK(!Client().list_streams("*", error) && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
}

static void last_ids(Client &client) {
  Error error;
  const std::optional<redcol::EntryId> last = client.last_id("numbers");
  CHECK(last && last->milliseconds == 25 && last->sequence == 1 && last->text() == "25-1");
  CHECK(!client.last_id("missing") && !client.last_id("missing", error) && !error);
  CHECK(!client.last_id("key", error) && error.status() == REDCOL_ERROR_WRONG_TYPE);
  CHECK(contains(thrown([&] { client.last_id("key"); }), "WRONGTYPE"));
  CHECK(client.last_id(string_view("t\0o", 3)));
}

/* -- NUL bytes */

static void nul_bytes(Client &client, const char *url) {
  const std::string cut("a\0b", 3);
  Error error;
  CHECK(!Client::open("redis://u:secret@h" + cut, {}, error) && error);
  CHECK(!contains(error.message(), "secret"));
  CHECK(contains(error.message(), "the URL has a NUL byte, at byte 19"));
  for (const Options &options :
       {Options().set(cut, "1"), Options().set("group", cut), Options{{"id_column", cut}}}) {
    CHECK(!Client::open(url, options, error) && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
    CHECK(!client.read("numbers", options, error) && contains(error.message(), "at byte 1"));
    CHECK(!client.read_ranges({"numbers"}, options, error) && error);
    CHECK(!client.read_matching("n*", options, error) && error);
    ArrowArrayStream frame{};
    const Table table = client.read("numbers").collect();
    table.stream(&frame);
    CHECK(!client.write("copy", &frame, options, error) && error && !frame.release);
    table.stream(&frame);
    CHECK(!client.write_hashes(&frame, options, error) && error && !frame.release);
    table.stream(&frame);
    CHECK(!client.publish("c", &frame, options, error) && error && !frame.release);
    CHECK(contains(thrown([&] { client.read("numbers", options); }), "has a NUL byte"));
  }
  for (const Schema &schema : {Schema().add(cut, "l"), Schema().add("n", string_view("l\0", 2)),
                               Schema().add_dictionary("n", "I", string_view("vu\0", 3))}) {
    CHECK(!client.read("numbers", schema, {}, error) && contains(error.message(), "NUL byte"));
    CHECK(!client.read_ranges({"numbers"}, schema, {}, error) && error);
  }
  Schema::parse(std::string("n:l\0", 4), error);
  CHECK(error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(client.ack(cut, cut, "1-1", error) == 0 && error.status() == REDCOL_ERROR_NO_GROUP);
  CHECK(client.ack("numbers", "g", string_view("1-1\0", 4), error) == 0 && error);
}

/* -- Schemas, tables and streams */

static void schemas(Client &client) {
  Error error;
  const Schema parsed = Schema::parse("n:l, at:tsm:UTC, price:d:9,2, color:I{vu}");
  const Schema::Struct built = parsed.build();
  const ArrowSchema *schema = built.get();
  CHECK(schema->n_children == 4 && string_view(schema->children[3]->dictionary->format) == "vu");
  CHECK(string_view(schema->children[1]->format) == "tsm:UTC");
  CHECK(rows_of(client.read("numbers", parsed)) == 25);
  Schema::parse("n", error);
  CHECK(error.status() == REDCOL_ERROR_SCHEMA);
  CHECK(contains(thrown([] { Schema::parse("n:nonsense"); }), "nonsense"));
  Batch batch;
  Reader colors = client.read("texts", Schema().add_dictionary("text"));
  CHECK(colors.next(batch) == REDCOL_OK && batch.column<string_view>("text")[1] == "twelve bytes");

  const Table table = client.read("texts").collect();
  const redcol::OwnedSchema whole = table.schema();
  CHECK(whole && whole->n_children == 4 && string_view(whole->children[2]->name) == "text");
  const Schema::Struct large = Schema().add("text", "U").build();
  CHECK(string_view(table.schema(large.get())->children[2]->format) == "U");
  redcol::OwnedSchema moved = table.schema(nullptr, error);
  redcol::OwnedSchema to = std::move(moved);
  CHECK(to && !moved); /* cppcheck-suppress accessMoved */
  to = redcol::OwnedSchema();
  CHECK(!to && !Table().schema(nullptr, error) && error);

  const Table sample = client.read("numbers", {{"discover", "binary"}, {"last", "10"}}).collect();
  CHECK(sample.size() == 10);
  const redcol::OwnedSchema inferred = sample.infer_schema();
  CHECK(inferred->n_children == 3 && string_view(inferred->children[2]->name) == "n");
  CHECK(string_view(inferred->children[2]->format) == "l");
  CHECK(!Table().infer_schema(error) && error);

  Reader reader = client.read("numbers", Schema().add("n", "l"), {{"batch_rows", "10"}});
  ArrowArrayStream stream{};
  reader.stream(&stream);
  std::int64_t rows = 0;
  while (true) {
    const auto [found, array] = batch.out();
    (void)found;
    CHECK(stream.get_next(&stream, array) == 0);
    if (!array->release)
      break;
    rows += array->length;
  }
  stream.release(&stream);
  CHECK(rows == 25);
  Reader endless = client.read("numbers", {{"follow", "true"}});
  CHECK(!endless.stream(&stream, error) && error && !stream.release);
}

static void acknowledging_later(Client &client) {
  Reader reader = client.read("numbers", {{"group", "later"},
                                          {"consumer", "c"},
                                          {"count", "10"},
                                          {"follow", "true"},
                                          {"batch_rows", "5"}});
  Batch batch;
  Error error;
  CHECK(reader.next(batch) == REDCOL_OK);
  reader.ack_start("1-1");
  reader.ack_start(batch.column<string_view>("_id"));
  CHECK(reader.ack_start_of("numbers", "2-1", error) && !error);
  CHECK(!reader.ack_start("nonsense", error) && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(!reader.ack_start_of("other", "1-1", error) && error);
  CHECK(reader.next(batch) == REDCOL_OK);
  reader.ack_start();
  CHECK(reader.next(batch) == REDCOL_END);
  CHECK(reader.statistic("acknowledged") == 10 && reader.statistic("acknowledging") == 0);
  const std::optional<redcol::EntryId> last = reader.last_entry();
  CHECK(last && reader.position("numbers")->text() == last->text());
  CHECK(reader.lag("numbers").value_or(-1) == reader.lag("numbers", error) && !error);
  CHECK(!reader.position("other", error) && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(!reader.lag("other", error) && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(reader.statistic("bytes_received") > 0 && reader.statistic("started_at") > 0);
  CHECK(!Reader().last_entry() && !Reader().position("numbers", error) && error);
  CHECK(!Reader().ack_start(error) && error && Writer().descriptor() == -1);
  ArrowArrayStream frame{};
  client.read("numbers", {{"include_timestamp", "false"}}).collect().stream(&frame);
  Writer writer = client.write_hashes(&frame, {{"key_column", "_id"}, {"key_prefix", "l:"}});
  CHECK(writer.descriptor() >= 0 && writer.run() == REDCOL_OK);
  Reader listening = client.subscribe({"published"}, {}, Schema().add("n", "l"));
  client.read("numbers", {{"include_timestamp", "false"}}).collect().stream(&frame);
  Writer published = client.publish("published", &frame);
  CHECK(published.run() == REDCOL_OK && published.statistic("written") == 25);
  CHECK(published.statistic("receivers") == 25);
}

/* -- Credentials */

static void credentials(const char *url) {
  std::atomic<int> asked{0};
  bool succeeds = true;
  auto app = redcol::Credentials::make([&](std::string &user, std::string &password) {
    asked++;
    user = "app";
    password = "one";
    return succeeds;
  });
  CHECK(app && app.get());
  Client client = Client::open_with_credentials(url, app, {{"connect_timeout_ms", "60000"}});
  CHECK(asked == 1 && rows_of(client.read("numbers")) == 25);
  succeeds = false;
  Error error;
  CHECK(!Client::open_with_credentials(url, app, {}, error) && asked == 2);
  CHECK(error.status() == REDCOL_ERROR_AUTHENTICATION);
  CHECK(error.detail("provider_code") == string_view("-1"));
  auto throws = redcol::Credentials::make(
      [](std::string &, std::string &) -> bool { throw std::runtime_error("no token"); }, error);
  CHECK(throws && !error);
  CHECK(contains(thrown([&] { Client::open_with_credentials(url, throws); }),
                 "REDCOL_ERROR_AUTHENTICATION"));
  auto empty = redcol::Credentials::make(nullptr);
  CHECK(contains(thrown([&] { Client::open_with_credentials(url, empty); }),
                 "REDCOL_ERROR_AUTHENTICATION"));
  CHECK(!Client::open_with_credentials(url, redcol::Credentials(), {}, error));
  CHECK(error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
}

/* -- Steering */

static void steering(Client &client) {
  const string_view stream = "steered";
  const Schema columns = Schema().add<std::int64_t>("n");
  const Options member =
      Options().set("group", "g").set("consumer", "c").set("create_group", false);
  CHECK(contains(thrown([&] { client.create_group(stream, "g"); }), "NO_GROUP"));
  CHECK(client.create_group(stream, "g", "$", true) && !client.create_group(stream, "g"));
  const Table numbers =
      client.read("numbers", columns, Options().set("include_timestamp", false)).collect();
  ArrowArrayStream frame{};
  numbers.stream(&frame);
  CHECK(client.write(stream, &frame, Options().set("id_column", "_id")).run() == REDCOL_OK);

  CHECK(rows_of(client.read(stream, columns, member)) == 25);
  CHECK(contains(thrown([&] { client.delete_consumer(stream, "g", "c"); }), "ERROR_PENDING"));
  CHECK(client.release(stream, "g", "c", "1-1 2-1 99-1") == 2);
  CHECK(client.release(stream, "g", "another", "1-1") == 0);
  CHECK(client.delete_consumer(stream, "g", "c", true) == 25);
  CHECK(client.seek_group(stream, "g", "0").milliseconds == 0);
  CHECK(rows_of(client.read(stream, columns, member)) == 25);
  const Options other = Options().set("group", "g").set("consumer", "other");
  CHECK(rows_of(client.claim(stream, "3-1 2-1 99-1", columns, other)) == 2);
  CHECK(rows_of(client.claim_idle(stream, columns, Options(other).set("claim_idle_ms", 0))) == 25);
  CHECK(client.delete_consumer(stream, "g", "other", true) == 25);
  CHECK(client.seek_group(stream, "g", "20-1").milliseconds == 20);
  CHECK(rows_of(client.read(stream, columns, member)) == 5);
  CHECK(client.seek_group(stream, "g", "$").milliseconds == 25);

  CHECK(client.delete_entries(stream, "25-1\n24-1 24-1") == 2);
  CHECK(client.trim(stream, redcol::Keep::from("4-1"), false) == 3);
  CHECK(client.trim(stream, redcol::Keep::entries(5), false) == 15);
  CHECK(client.trim(stream, redcol::Keep::entries(0)) <= 5);
  CHECK(client.delete_group(stream, "g") && !client.delete_group(stream, "g"));
  Error error;
  CHECK(!client.seek_group(stream, "g", "0", error) && error.status() == REDCOL_ERROR_NO_GROUP);
  CHECK(!client.create_group(stream, "g", std::string("0\0", 2), false, error));
  CHECK(error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(client.trim(stream, redcol::Keep::entries(-1), true, error) == 0 && error);
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  try {
    Client client = Client::open(argv[1], {{"timeout_ms", "10000"}});
    columns(client);
    many_streams(client);
    subscriptions(client);
    last_ids(client);
    lists(client);
    nul_bytes(client, argv[1]);
    schemas(client);
    acknowledging_later(client);
    credentials(argv[1]);
    steering(client);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "thrown: %s\n", error.what());
    failures++;
  }
  CHECK(redcol_live_objects() == 0);
  return failures == 0 ? 0 : 1;
}
