-- SPDX-License-Identifier: Apache-2.0
-- Sums a stream's values as a member of a consumer group, and acknowledges each batch after it:
--   luajit consume_group.lua URL STREAM GROUP CONSUMER ENTRIES
local ffi = require("ffi")
ffi.cdef [[
struct ArrowSchema { const char *format, *name, *metadata; int64_t flags, n_children;
  void *children, *dictionary; void (*release)(struct ArrowSchema *); void *data; };
struct ArrowArray { int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers; struct ArrowArray **children, *dictionary;
  void (*release)(struct ArrowArray *); void *data; };
int32_t redcol_open(const char *url, const char *const *options, void **client, void **error);
int32_t redcol_schema_new(const char *text, struct ArrowSchema *schema, void **error);
int32_t redcol_read_stream(void *client, const char *stream, int64_t stream_length,
  const struct ArrowSchema *schema, const char *const *options, void **iter, void **error);
int32_t redcol_iter_next(void *iter, int64_t wait_ms, void *schema, void *batch, void **error);
int32_t redcol_iter_ack(void *iter, const char *stream, int64_t stream_length, const char *ids,
  int64_t ids_length, int64_t *acknowledged, void **error);
const char *redcol_error_message(const void *error);
void redcol_free(void *handle);]]
local redcol, OK, TIMEOUT = ffi.load(os.getenv("REDCOL_LIBRARY") or "libredcol.so.0"), 0, 2

-- Calls a function, again after a signal, and raises its error. Its last argument is added here.
local function call(name, ...)
  local failure, arguments, status = ffi.new("void *[1]"), { ... }, TIMEOUT
  arguments[select("#", ...) + 1] = failure
  while status == TIMEOUT do status = redcol[name](unpack(arguments, 1, select("#", ...) + 1)) end
  if status < 0 then
    local message = ffi.string(redcol.redcol_error_message(failure[0]))
    redcol.redcol_free(failure[0])
    error(message, 0)
  end
  return status
end

local url, stream, group, consumer, entries = unpack(arg)
local handle, schema = ffi.new("void *[1]"), ffi.new("struct ArrowSchema")
local batch, read, total = ffi.new("struct ArrowArray"), 0, 0LL
call("redcol_open", url, nil, handle)
local client = ffi.gc(handle[0], redcol.redcol_free)
call("redcol_schema_new", "value:l", schema)
local options = ffi.new("const char *[15]", { "group", group, "consumer", consumer, "follow",
  "true", "count", entries, "batch_rows", "100", "include_id", "false",
  "include_timestamp", "false" })
call("redcol_read_stream", client, stream, -1, schema, options, handle)
local iter = ffi.gc(handle[0], redcol.redcol_free)
schema.release(schema) -- the reader has copied it
while call("redcol_iter_next", iter, -1, nil, batch) == OK do
  local column = batch.children[0]
  local validity = ffi.cast("const uint8_t *", column.buffers[0]) -- NULL: no nulls
  local values = ffi.cast("const int64_t *", column.buffers[1])
  for i = tonumber(column.offset), tonumber(column.offset + column.length) - 1 do
    if validity == nil or bit.band(validity[math.floor(i / 8)], bit.lshift(1, i % 8)) ~= 0 then
      total = total + values[i]
    end
  end
  read = read + tonumber(batch.length)
  batch.release(batch)
  call("redcol_iter_ack", iter, nil, 0, nil, 0, nil) -- all that were handed over
end
print(("%d entries, sum %s"):format(read, (tostring(total):gsub("LL", ""))))
