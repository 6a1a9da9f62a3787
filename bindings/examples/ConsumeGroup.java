// SPDX-License-Identifier: Apache-2.0
// Sums a stream's values as a member of a consumer group, and acknowledges each batch after it:
//   java -cp /usr/share/java/jna.jar ConsumeGroup.java URL STREAM GROUP CONSUMER ENTRIES
import com.sun.jna.*;
import java.util.Map;
import java.util.function.ToIntFunction;

class ConsumeGroup {
    interface Redcol extends Library {
        int redcol_open(String url, String[] options, Pointer clientOut, Pointer errorOut);
        int redcol_schema_new(String text, Pointer schemaOut, Pointer errorOut);
        int redcol_read_stream(Pointer client, String stream, long streamLength, Pointer schema,
            String[] options, Pointer iterOut, Pointer errorOut);
        int redcol_iter_next(Pointer iter, long waitMs, Pointer schemaOut, Pointer batchOut,
            Pointer errorOut);
        int redcol_iter_ack(Pointer iter, String stream, long streamLength, String ids,
            long idsLength, Pointer acknowledgedOut, Pointer errorOut);
        Pointer redcol_error_message(Pointer error);
        void redcol_free(Pointer handle);
    }
    static final int OK = 0, TIMEOUT = 2;
    static final Redcol redcol = Native.load(
        System.getenv().getOrDefault("REDCOL_LIBRARY", "libredcol.so.0"), Redcol.class,
        Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));
    /** Calls a function, again after a signal, and throws its error. */
    static int call(ToIntFunction<Pointer> function) {
        Pointer error = new Memory(8);
        int status = TIMEOUT;
        while (status == TIMEOUT) status = function.applyAsInt(error);
        if (status >= 0) return status;
        String message = redcol.redcol_error_message(error.getPointer(0)).getString(0, "UTF-8");
        redcol.redcol_free(error.getPointer(0));
        throw new IllegalStateException(message);
    }
    public static void main(String[] args) {
        String[] options = {"group", args[2], "consumer", args[3], "follow", "true", "count",
            args[4], "batch_rows", "100", "include_id", "false", "include_timestamp", "false"};
        Pointer out = new Memory(8), schema = new Memory(72), batch = new Memory(80), none = null;
        call(e -> redcol.redcol_open(args[0], null, out, e));
        Pointer client = out.getPointer(0);
        call(e -> redcol.redcol_schema_new("value:l", schema, e));
        call(e -> redcol.redcol_read_stream(client, args[1], -1, schema, options, out, e));
        Pointer iter = out.getPointer(0);
        Function.getFunction(schema.getPointer(56)).invokeVoid(new Object[] {schema}); // copied
        long entries = 0, total = 0;
        while (call(e -> redcol.redcol_iter_next(iter, -1, none, batch, e)) == OK) {
            Pointer column = batch.getPointer(48).getPointer(0), buffers = column.getPointer(40);
            Pointer validity = buffers.getPointer(0), values = buffers.getPointer(8);
            for (long i = column.getLong(16); i < column.getLong(16) + column.getLong(0); i++)
                if (validity == null || (validity.getByte(i / 8) >> i % 8 & 1) == 1) // not null
                    total += values.getLong(8 * i);
            entries += batch.getLong(0);
            Function.getFunction(batch.getPointer(64)).invokeVoid(new Object[] {batch});
            call(e -> redcol.redcol_iter_ack(iter, null, 0, null, 0, none, e)); // the whole batch
        }
        System.out.println(entries + " entries, sum " + total);
        redcol.redcol_free(iter);
        redcol.redcol_free(client);
    }
}
