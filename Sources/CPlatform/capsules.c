/* SPDX-License-Identifier: Apache-2.0 */
/* A Python capsule keeps the pointer to its name, so the names must live as long as the process. */
#include "include/CPlatform.h"

const char *platform_capsule_schema_name(void) { return "arrow_schema"; }
const char *platform_capsule_array_name(void) { return "arrow_array"; }
const char *platform_capsule_stream_name(void) { return "arrow_array_stream"; }
const char *platform_capsule_handle_name(void) { return "redcol_handle"; }
