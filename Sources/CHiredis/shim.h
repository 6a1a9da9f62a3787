/* SPDX-License-Identifier: Apache-2.0 */
/* What redcol uses of hiredis: the reader, for replies without entries. Tests use all of it. */
#include <hiredis/hiredis.h>
