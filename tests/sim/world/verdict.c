/* verdict: see the header. */
#include "sim/world/verdict.h"

#include <stdarg.h>
#include <stdio.h>

void rn_violate(rn_verdict *verdict, const char *rule, const char *format, ...) {
    if (verdict->violations++ > 0) {
        return;
    }
    va_list arguments;
    verdict->at_ns = rn_sim_now(verdict->sim);
    snprintf(verdict->rule, sizeof verdict->rule, "%s", rule);
    va_start(arguments, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
    va_end(arguments);
}
