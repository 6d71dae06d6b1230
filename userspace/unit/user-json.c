// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "ktap.h"
#include "output.h"

static char *text;
static size_t len;

static struct json start(void)
{
	return (struct json) { .f = open_memstream(&text, &len) };
}

static bool finish(struct json *j, const char *expected)
{
	bool same;

	fclose(j->f);
	same = !strcmp(text, expected);
	if (!same)
		printf("# got %s\n", text);
	free(text);
	return same;
}

static void values(void)
{
	struct json j = start();

	json_begin(&j, NULL, '{');
	json_string(&j, "a", "x");
	json_string(&j, "b", NULL);
	json_number(&j, "c", 0);
	json_number(&j, "d", UNKNOWN - 1);
	json_number(&j, "e", UNKNOWN);
	json_bool(&j, "f", 1);
	json_bool(&j, "g", 0);
	json_bool(&j, "h", UNKNOWN);
	json_end(&j, '}');
	CHECK(finish(&j, "{\"a\":\"x\",\"b\":null,\"c\":0,\"d\":18446744073709551614,"
		     "\"e\":null,\"f\":true,\"g\":false,\"h\":null}"));
}

static void escapes(void)
{
	struct json j = start();

	json_string(&j, NULL, "q\" b\\ n\n t\t \x01 \x7f \xc3\xa4");
	CHECK(finish(&j, "\"q\\\" b\\\\ n\\u000a t\\u0009 \\u0001 \\u007f \xc3\xa4\""));
}

static void nesting(void)
{
	struct json j = start();

	json_begin(&j, NULL, '[');
	json_begin(&j, NULL, '{');
	json_end(&j, '}');
	json_begin(&j, NULL, '{');
	json_begin(&j, "k", '[');
	json_number(&j, NULL, 1);
	json_number(&j, NULL, 2);
	json_end(&j, ']');
	json_string(&j, "l", "");
	json_end(&j, '}');
	json_end(&j, ']');
	CHECK(finish(&j, "[{},{\"k\":[1,2],\"l\":\"\"}]"));
}

KTAP_MAIN({ "values", values }, { "escapes", escapes },
	  { "nesting and commas", nesting })
