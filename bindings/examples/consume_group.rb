# SPDX-License-Identifier: Apache-2.0
# Sums a stream's values as a member of a consumer group, and acknowledges each batch after it:
#   ruby consume_group.rb URL STREAM GROUP CONSUMER ENTRIES
require "fiddle/import"

module Redcol
  extend Fiddle::Importer
  dlload ENV.fetch("REDCOL_LIBRARY", "libredcol.so.0")
  extern "int redcol_open(char *, void *, void *, void *)"
  extern "int redcol_schema_new(char *, void *, void *)"
  extern "int redcol_read_stream(void *, char *, long long, void *, void *, void *, void *)"
  extern "int redcol_iter_next(void *, long long, void *, void *, void *)"
  extern "int redcol_iter_ack(void *, char *, long long, char *, long long, void *, void *)"
  extern "char *redcol_error_message(void *)"
  extern "void redcol_free(void *)"
  OK, TIMEOUT = 0, 2

  # Calls a function, again after a signal, and raises its error. Its last argument is added here.
  def self.call(name, *arguments)
    error = memory(8)
    status = send(name, *arguments, error) while status.nil? || status == TIMEOUT
    return status if status >= 0

    message = redcol_error_message(error.ptr).to_s.force_encoding("UTF-8")
    redcol_free(error.ptr)
    abort message
  end

  def self.memory(size) = Fiddle::Pointer.malloc(size, Fiddle::RUBY_FREE)

  # Calls the function of an Arrow struct that frees what it holds.
  def self.release(struct, offset)
    function = Fiddle::Function.new((struct + offset).ptr, [Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOID)
    function.call(struct)
  end
end

url, stream, group, consumer, entries = ARGV
client, iter, schema, batch = [8, 8, 72, 80].map { |size| Redcol.memory(size) }
read = total = 0
Redcol.call(:redcol_open, url, nil, client)
Redcol.call(:redcol_schema_new, "value:l", schema)
options = ["group", group, "consumer", consumer, "follow", "true", "count", entries,
           "batch_rows", "100", "include_id", "false", "include_timestamp", "false", nil].pack("p*")
Redcol.call(:redcol_read_stream, client.ptr, stream, -1, schema, options, iter)
Redcol.release(schema, 56) # the reader has copied it
while Redcol.call(:redcol_iter_next, iter.ptr, -1, nil, batch) == Redcol::OK
  column = (batch + 48).ptr.ptr
  length, _, first = column[0, 24].unpack("q3")
  validity, values = (column + 40).ptr.then { |buffers| [buffers.ptr, (buffers + 8).ptr] }
  (values + first * 8)[0, length * 8].unpack("q*").each.with_index(first) do |value, i|
    total += value if validity.null? || validity[i / 8][i % 8] == 1 # NULL: there are no nulls
  end
  read += length
  Redcol.release(batch, 64)
  Redcol.call(:redcol_iter_ack, iter.ptr, nil, 0, nil, 0, nil) # all that were handed over
end
puts "#{read} entries, sum #{total}"
[iter, client].each { |handle| Redcol.redcol_free(handle.ptr) }
