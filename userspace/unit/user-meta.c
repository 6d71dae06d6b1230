// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "ktap.h"
#include "lvm-meta.h"

static const char sample[] =
	"# comment\n"
	"contents = \"Text Format Volume Group\"\n"
	"version = 1\n"
	"description = \"say \\\"hi\\\"\"\n"
	"vg0 {\n"
	"	id = \"vgid\"\n"
	"	seqno = 7\n"
	"	extent_size = 8192\n"
	"	physical_volumes {\n"
	"		pv0 { id = \"aaa\" device = \"/dev/sda\" pe_start = 2048 }\n"
	"		pv1 { id = \"bbb\" device = \"/dev/sdb\" pe_start = 4096 }\n"
	"	}\n"
	"	logical_volumes {\n"
	"		data {\n"
	"			id = \"lv-data\"\n"
	"			status = [\"READ\", \"WRITE\", \"VISIBLE\"]\n"
	"			flags = []\n"
	"			segment_count = 2\n"
	"			segment1 {\n"
	"				start_extent = 0 extent_count = 5\n"
	"				type = \"striped\" stripe_count = 1\n"
	"				stripes = [ \"pv0\", 0 ]\n"
	"			}\n"
	"			segment2 {\n"
	"				start_extent = 5 extent_count = 4\n"
	"				type = \"striped\" stripe_count = 1\n"
	"				stripes = [ \"pv0\", 7 ]\n"
	"			}\n"
	"		}\n"
	"		spare {\n"
	"			id = \"lv-spare\"\n"
	"			tags = [\"t\"]\n"
	"			segment_count = 1\n"
	"			segment1 {\n"
	"				start_extent = 0 extent_count = 9\n"
	"				type = \"striped\" stripe_count = 2\n"
	"				stripe_size = 128\n"
	"				stripes = [ \"pv1\", 0, \"pv0\", 20 ]\n"
	"			}\n"
	"		}\n"
	"		mirror {\n"
	"			id = \"lv-mirror\"\n"
	"			segment_count = 1\n"
	"			segment1 { type = \"raid1\" }\n"
	"		}\n"
	"		odd {\n"
	"			segment_count = 1\n"
	"			segment1 { type = \"striped\" }\n"
	"			surprise = 1\n"
	"		}\n"
	"	}\n"
	"}\n";

static dev_t pv_device(const char *uuid, void *arg)
{
	(void)arg;
	return !strcmp(uuid, "aaa") ? makedev(8, 0) :
	       !strcmp(uuid, "bbb") ? makedev(8, 16) : 0;
}

static bool has_segment(const struct table *t, size_t i, uint64_t start,
			uint64_t len, const char *type, const char *params)
{
	return i < t->n && t->seg[i].start == start && t->seg[i].len == len &&
	       !strcmp(t->seg[i].type, type) && !strcmp(t->seg[i].params, params);
}

static bool is_data(struct meta *m, const char *lv)
{
	autotable struct table t = { 0 };

	return !meta_table(m, lv, pv_device, NULL, &t) && t.n == 2 &&
	       has_segment(&t, 0, 0, 40960, "linear", "8:0 2048") &&
	       has_segment(&t, 1, 40960, 32768, "linear", "8:0 59392");
}

static bool is_spare(struct meta *m, const char *lv)
{
	autotable struct table t = { 0 };

	return !meta_table(m, lv, pv_device, NULL, &t) && t.n == 1 &&
	       has_segment(&t, 0, 0, 73728, "striped",
			   "2 128 8:16 4096 8:0 165888");
}

/* First: libdevmapper is not to print its parse errors. */
static void quiet(void)
{
	dm_setup();
	CHECK(!*dm_error());
}

static void tables(void)
{
	autometa struct meta *m = meta_parse(sample, "vg0");

	CHECK(m);
	CHECK(m && is_data(m, "data"));
	CHECK(m && is_spare(m, "spare"));
}

static void swap(void)
{
	autometa struct meta *m = meta_parse(sample, "vg0"), *again = NULL;
	char *text;

	CHECK(m && !meta_swap(m, "data", "spare"));
	CHECK(m && is_spare(m, "data") && is_data(m, "spare"));
	text = m ? meta_text(m) : NULL;
	again = text ? meta_parse(text, "vg0") : NULL;
	CHECK(again && is_spare(again, "data") && is_data(again, "spare"));
	/* Everything but the segments stays where it was. */
	CHECK(text && strstr(text, "description=\"say \\\"hi\\\"\""));
	CHECK(text && strstr(text, "id=\"lv-data\"") &&
	      strstr(text, "status=[\"READ\",\"WRITE\",\"VISIBLE\"]") &&
	      strstr(text, "id=\"lv-data\"") < strstr(text, "id=\"lv-spare\""));
	free(text);
}

static void swap_twice(void)
{
	autometa struct meta *m = meta_parse(sample, "vg0"),
			     *same = meta_parse(sample, "vg0");
	char *a, *b;

	CHECK(m && same);
	if (!m || !same)
		return;
	CHECK(!meta_swap(m, "data", "spare"));
	CHECK(!meta_swap(m, "data", "spare"));
	a = meta_text(m);
	b = meta_text(same);
	CHECK(a && b && !strcmp(a, b));
	free(a);
	free(b);
}

static void refusals(void)
{
	autometa struct meta *m = meta_parse(sample, "vg0");
	autometa struct meta *other = meta_parse(sample, "vg1");
	autometa struct meta *broken = meta_parse("vg0 {", "vg0");
	autometa struct meta *value = meta_parse("vg0 = 1", "vg0");
	autotable struct table t = { 0 };

	CHECK(m && !other && !broken && !value);
	if (!m)
		return;
	CHECK(meta_swap(m, "data", "data"));
	CHECK(meta_swap(m, "data", "absent"));
	CHECK(meta_swap(m, "data", "odd"));
	CHECK(meta_table(m, "mirror", pv_device, NULL, &t));
	CHECK(meta_table(m, "absent", pv_device, NULL, &t));
}

KTAP_MAIN({ "libdevmapper is quiet", quiet },
	  { "tables from metadata", tables },
	  { "two volumes exchange their segments", swap },
	  { "exchanging twice changes nothing", swap_twice },
	  { "what is not understood is refused", refusals })
