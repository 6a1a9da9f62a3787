// SPDX-License-Identifier: Apache-2.0
/* Uses all of redcol.hpp against the server at URL, whose streams the test has filled, and says
   what is wrong: cpp_reader URL */
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <type_traits>
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

template <class Call> static redcol_status thrown(Call call) {
  try {
    call();
  } catch (const Exception &error) {
    CHECK(error.what() == std::string(error.error().message()) && *error.what());
    return error.status();
  }
  return REDCOL_OK;
}

template <class T> static std::vector<std::optional<T>> values(const Column<T> &column) {
  return {column.begin(), column.end()};
}

static_assert(!std::is_copy_constructible_v<Client> && std::is_nothrow_move_assignable_v<Client>);
static_assert(!std::is_copy_constructible_v<Batch> && std::is_nothrow_move_assignable_v<Batch>);
static_assert(std::is_copy_constructible_v<Exception>);

template <class T> static void check_number(Client &client, const char *name, T first) {
  Reader reader = client.read("types", Schema().add<T>(name));
  for (const Batch &batch : reader) {
    const Column<T> column = batch.column<T>(name);
    CHECK(column.size() == 2 && column.null_count() == 1);
    CHECK(column[0] == first && column.at(0) == first && !column.is_null(0));
    CHECK(column.is_null(1) && !column.at(1) && !column.at(2));
  }
}

static void types(Client &client) {
  check_number<bool>(client, "flag", true);
  check_number<std::int8_t>(client, "small", -5);
  check_number<std::uint8_t>(client, "natural", 5);
  check_number<std::int16_t>(client, "small", -5);
  check_number<std::uint16_t>(client, "natural", 5);
  check_number<std::int32_t>(client, "small", -5);
  check_number<std::uint32_t>(client, "natural", 5);
  check_number<std::int64_t>(client, "small", -5);
  check_number<std::uint64_t>(client, "natural", 5);
  check_number<float>(client, "real", 2.5F);
  check_number<double>(client, "real", 2.5);
  Schema schema;
  schema.add("day", "tdD").add("moment", "tsm:UTC").add("price", "d:9,2").add("text", "vz");
  Reader reader = client.read("types", schema);
  Batch batch;
  CHECK(reader.next(batch) == REDCOL_OK && batch.size() == 2 && batch.column_count() == 6);
  CHECK(batch.name(2) == "day" && batch.index("price") == 4U && !batch.index("none"));
  CHECK(batch.column<std::int32_t>("day")[0] == 1);
  CHECK(batch.column<std::int64_t>("moment")[0] == 86400000);
  CHECK(batch.column<redcol::Decimal128>("price")[0].low == 125);
  CHECK(batch.column<string_view>("text")[0] == "a text that is longer than a view");
  CHECK(!batch.find<double>("day") && !batch.find<std::int64_t>("none"));
  CHECK(!batch.find<std::int64_t>(6) && !batch.find<string_view>("_ts"));
  CHECK(thrown([&] { batch.column<double>("day"); }) == REDCOL_ERROR_SCHEMA);
  CHECK(reader.next(batch) == REDCOL_END && batch.empty() && batch.column_count() == 0);
  CHECK(reader.statistic("delivered") == 2 && reader.statistic("none") == -1);
  CHECK(reader.statistic("connected") == 1 && !reader.last_error());
}

static const std::vector<std::optional<string_view>> texts = {
    "", "twelve bytes", std::nullopt, "thirteen byte", "a much longer text, kept elsewhere"};

static void strings_in_every_layout(Client &client) {
  Reader reader = client.read("texts", Options{{"batch_rows", "2"}});
  const Table table = reader.collect();
  CHECK(table && table.size() == texts.size());
  for (const char *format : {"vu", "u", "U"}) {
    const Schema::Struct requested = Schema().add("text", format).build();
    ArrowArrayStream stream{};
    table.stream(&stream, requested.get());
    std::vector<std::optional<std::string>> found;
    while (true) {
      Batch batch;
      const auto [schema, array] = batch.out();
      CHECK(stream.get_next(&stream, array) == 0);
      if (array->release == nullptr)
        break;
      CHECK(stream.get_schema(&stream, schema) == 0);
      CHECK(string_view(batch.format(*batch.index("text"))) == format);
      for (std::optional<string_view> text : batch.column<string_view>("text"))
        found.emplace_back(text);
    }
    CHECK(std::equal(found.begin(), found.end(), texts.begin(), texts.end()));
    stream.release(&stream);
  }
}

static void dictionaries(Client &client) {
  for (const char *index : {"c", "C", "s", "S", "i", "I", "l", "L"}) {
    const Schema::Struct codes = Schema().add("text", index).build();
    const Schema::Struct strings = Schema().add("", "u").build();
    codes.get()->children[0]->dictionary = strings.get()->children[0];
    redcol_iter *iter = nullptr;
    CHECK(redcol_read_stream(client.get(), "texts", -1, codes.get(), nullptr, &iter, nullptr) == 0);
    Batch batch;
    const auto [schema, array] = batch.out();
    CHECK(redcol_iter_next(iter, -1, schema, array, nullptr) == REDCOL_OK);
    CHECK(values(batch.column<string_view>("text")) == texts);
    CHECK(!batch.find<std::int8_t>("text") && !batch.find<std::int64_t>("text"));
    redcol_free(iter);
  }
}

static void errors(Client &client, const char *url) {
  Error error;
  CHECK(!error && error.status() == REDCOL_OK && !*error.message() && !error.detail("stream"));
  CHECK(!Client::open("nonsense", {}, error) && error);
  CHECK(error.status() == REDCOL_ERROR_INVALID_ARGUMENT && *error.message());
  CHECK(Client::open(url, {}, error) && !error && !*error.message());
  CHECK(!client.read("texts", {{"no", "such"}}, error) && error);
  CHECK(!client.read("texts", Schema().add("x", "+l"), {}, error));
  CHECK(error.status() == REDCOL_ERROR_SCHEMA);
  Reader wrong = client.read("key", {}, error);
  Batch batch;
  CHECK(wrong.next(batch, -1, error) == REDCOL_ERROR_WRONG_TYPE && batch.empty());
  CHECK(string_view(error.detail("server_code")) == "WRONGTYPE" && !error.detail("none"));
  Error moved = std::move(error);
  CHECK(string_view(moved.detail("stream")) == "key");
  CHECK(!wrong.collect(error) && error.status() == REDCOL_ERROR_WRONG_TYPE);
  int count = 0;
  for (const Batch &one : wrong.batches(error))
    count += static_cast<int>(one.size());
  CHECK(count == 0 && error.status() == REDCOL_ERROR_WRONG_TYPE);
  CHECK(thrown([&] {
          for (const Batch &one : wrong)
            (void)one;
        }) == REDCOL_ERROR_WRONG_TYPE);
  CHECK(thrown([&] { wrong.collect(); }) == REDCOL_ERROR_WRONG_TYPE);
  CHECK(thrown([] { Client::open("nonsense"); }) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(thrown([&] { client.read("texts", {{"no", "such"}}); }) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(thrown([&] { client.ack("texts", "none", "1-1"); }) == REDCOL_ERROR_NO_GROUP);
  CHECK(thrown([&] { wrong.ack(); }) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(thrown([&] { wrong.unread(); }) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(thrown([] { Table().stream(nullptr); }) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(wrong.close() == REDCOL_OK && thrown([&] { wrong.next(batch); }) == REDCOL_ERROR_CLOSED);

  /* what was moved from, and what was never made */
  Client from = Client::open(url);
  const Client to = std::move(from);
  CHECK(to && !from); /* cppcheck-suppress accessMoved */
  CHECK(!from.read("texts", {}, error) && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(from.ack("texts", "g", "1-1", error) == 0 && error);
  CHECK(from.cancel() == REDCOL_ERROR_INVALID_ARGUMENT && from.close() < 0);
  Reader none;
  CHECK(!none && none.next(batch, 0, error) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(none.descriptor() == -1 && none.statistic("delivered") == -1 && none.cancel() < 0);
  CHECK(!none.unread(error) && none.ack(error) == 0 && error && !none.collect(error));
  CHECK(Table().size() == 0);
}

static void whole_group(Client &client) {
  const Options options = Options().set("group", "g").set("consumer", "c").set("follow", true);
  Reader reader = client.read("numbers", Schema().add<std::int64_t>("n"),
                              Options(options).set("batch_rows", 10).set("block_ms", 10));
  CHECK(reader.descriptor() >= 0);
  Batch batch;
  CHECK(reader.next(batch) == REDCOL_OK && batch.size() == 10);
  const std::string first(batch.column<string_view>("_id")[0]);
  CHECK(reader.ack(string_view(first)) == 1 && reader.ack(first) == 0);
  CHECK(reader.ack_of("numbers", "1-1 2-1") == 1);
  CHECK(reader.ack(batch.column<string_view>("_id")) == 8 && reader.ack() == 0);
  CHECK(reader.next(batch) == REDCOL_OK && batch.column<std::int64_t>("n")[0] == 11);
  reader.unread();
  CHECK(reader.next(batch) == REDCOL_OK && batch.column<std::int64_t>("n")[0] == 11);
  Error error;
  CHECK(reader.ack("no id", error) == 0 && error.status() == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(reader.ack() == 10 && reader.statistic("acknowledged") == 20);
  CHECK(client.ack("numbers", "g", first) == 0);
  while (reader.next(batch, 200) == REDCOL_OK)
    reader.ack();
  CHECK(reader.statistic("acknowledged") == 25);

  /* cancelled by another thread while it waits, it can go on */
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    reader.cancel();
  });
  CHECK(reader.next(batch, -1, error) == REDCOL_ERROR_CANCELLED);
  other.join();
  CHECK(reader.next(batch, 1) == REDCOL_TIMEOUT);

  Reader both = client.read(std::vector<string_view>{"numbers", string_view("t\0o", 3)}, Schema(),
                            Options(options).set("stream_column", "key").set("count", 1));
  for (const Batch &one : both) {
    CHECK(one.column<string_view>("key")[0] == "t\\x00o");
    CHECK(both.ack_of(string_view("t\0o", 3), one.column<string_view>("_id")[0]) == 1);
  }
}

/* What was read is written elsewhere: as entries with the same ids, and as hashes. */
static void writing(Client &client) {
  const Table table = client.read("numbers", Options().set("include_timestamp", "false")).collect();
  ArrowArrayStream frame{};
  table.stream(&frame);
  Writer writer = client.write("copy", &frame, Options().set("id_column", "_id"));
  CHECK(writer && frame.release == nullptr);
  while (writer.run(1) == REDCOL_TIMEOUT) {
  }
  CHECK(writer.statistic("written") == 25);
  const Batch ids = writer.ids();
  CHECK(ids.size() == 25 && ids.column<string_view>("_id")[24] == "25-1");
  std::size_t rows = 0;
  for (const Batch &batch : client.read("copy"))
    rows += batch.size();
  CHECK(rows == 25);

  table.stream(&frame);
  const Options hashes = Options().set("key_column", "_id").set("key_prefix", "k:");
  Writer made = client.write_hashes(&frame, hashes);
  CHECK(made.run() == REDCOL_OK && made.statistic("written") == 25);
  CHECK(thrown([&] { made.ids(); }) == REDCOL_ERROR_INVALID_ARGUMENT);
  table.stream(&frame);
  Writer again = client.write_hashes(&frame, Options(hashes).set("if_exists", "fail"));
  CHECK(thrown([&] { again.run(); }) == REDCOL_ERROR_KEY_EXISTS);
  CHECK(thrown([&] { again.stop(); }) == REDCOL_ERROR_KEY_EXISTS);
  CHECK(again.close() == REDCOL_OK && thrown([&] { again.run(); }) == REDCOL_ERROR_CLOSED);

  Error error;
  table.stream(&frame);
  CHECK(!client.write("copy", &frame, Options().set("id_column", "none"), error));
  CHECK(error.status() == REDCOL_ERROR_INVALID_ARGUMENT && frame.release == nullptr);
  Writer none;
  CHECK(!none && none.run(0, error) == REDCOL_ERROR_INVALID_ARGUMENT);
  CHECK(none.statistic("known") == -1);
}

static void lifetimes(const char *url) {
  Batch kept;
  ArrowSchema schema{};
  ArrowArray array{};
  {
    Client client = Client::open(url);
    Reader reader = client.read("numbers", Options().set("batch_rows", 10));
    client = Client(); /* the reader goes on */
    for (Batch &batch : reader) {
      kept = std::move(batch);
      break;
    }
    Batch second;
    CHECK(reader.next(second) == REDCOL_OK);
    second.move_to(&schema, &array);
    CHECK(second.empty() && second.column_count() == 0);
  }
  std::thread other([moved = std::move(kept)]() mutable {
    CHECK(moved.column<string_view>("n")[9] == "10");
    const Batch gone = std::move(moved);
  });
  other.join();
  CHECK(array.length == 10);
  array.release(&array);
  schema.release(&schema);
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  try {
    Client client = Client::open(argv[1], Options().set("timeout_ms", 10000));
    types(client);
    strings_in_every_layout(client);
    dictionaries(client);
    errors(client, argv[1]);
    whole_group(client);
    writing(client);
    lifetimes(argv[1]);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "thrown: %s\n", error.what());
    failures++;
  }
  CHECK(redcol_live_objects() == 0);
  return failures == 0 ? 0 : 1;
}
