// SPDX-License-Identifier: Apache-2.0
/* Sums a stream's values as a member of a consumer group, until ENTRIES of them:
   consume_group URL STREAM GROUP CONSUMER ENTRIES */
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

#include "redcol.hpp"

int main(int argc, char **argv) {
  if (argc != 6) {
    std::cerr << "usage: " << argv[0] << " URL STREAM GROUP CONSUMER ENTRIES\n";
    return 2;
  }
  std::int64_t sum = 0;
  std::size_t entries = 0;
  try {
    redcol::Client client = redcol::Client::open(argv[1]);
    redcol::Reader events = client.read(argv[2], redcol::Schema().add<std::int64_t>("value"),
                                        redcol::Options()
                                            .set("group", argv[3])
                                            .set("consumer", argv[4])
                                            .set("follow", true)
                                            .set("count", argv[5])
                                            .set("batch_rows", 100));
    for (const redcol::Batch &batch : events) {
      for (std::optional<std::int64_t> value : batch.column<std::int64_t>("value"))
        sum += value.value_or(0);
      entries += batch.size();
      events.ack(); /* what was summed, and only then */
    }
  } catch (const redcol::Exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  std::cout << entries << " entries, sum " << sum << '\n';
}
