// SPDX-License-Identifier: Apache-2.0
// The export that makes a schema from text.

import ArrowColumns
import CPlatform
import CRedcol
import RedcolBase

@c @implementation
public func redcol_schema_new(
    _ text: UnsafePointer<CChar>?, _ schema_out: UnsafeMutablePointer<ArrowSchema>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    schema_out?.pointee = ArrowSchema()
    return reporting(error_out) { () throws(RedcolError) in
        guard let schema_out else { throw Arguments.missing("schema_out") }
        let text = Array(try Arguments.text(text, "text").utf8)
        try withColumnErrors { () throws(ColumnError) in
            var parser = SchemaText(text)
            try parser.export(into: schema_out)
        }
        return Status.ok
    }
}
