// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading and editing volume group metadata with libdevmapper's own parser. */
#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "blkjob.h"
#include "cleanup.h"
#include "lvm-meta.h"

struct meta {
	struct dm_config_tree *tree;
	struct dm_config_node *vg;
};

struct meta *meta_parse(const char *text, const char *vg)
{
	struct meta *m = xcalloc(1, sizeof(*m));

	m->tree = dm_config_from_string(text);
	if (m->tree)
		m->vg = dm_config_find_node(m->tree->root, vg);
	if (!m->vg || m->vg->v)
		meta_free(&m);
	return m;
}

void meta_free(struct meta **m)
{
	if (*m && (*m)->tree)
		dm_config_destroy((*m)->tree);
	free(*m);
	*m = NULL;
}

static struct dm_config_node *find_lv(struct meta *m, const char *lv)
{
	autofree char *path = xasprintf("logical_volumes/%s", lv);

	return dm_config_find_node(m->vg->child, path);
}

static bool is_segment(const struct dm_config_node *n)
{
	return !strcmp(n->key, "segment_count") ||
	       (!strncmp(n->key, "segment", 7) && !n->v);
}

/*
 * Where the list of segments begins: "segment_count", followed by nothing but
 * segments. NULL if this is not the format that we know.
 */
static struct dm_config_node **segments(struct dm_config_node *lv)
{
	struct dm_config_node **first, *n;

	if (!lv || lv->v)
		return NULL;
	for (first = &lv->child; *first; first = &(*first)->sib)
		if (!strcmp((*first)->key, "segment_count"))
			break;
	if (!*first || first == &lv->child)
		return NULL;
	for (n = *first; n; n = n->sib)
		if (!is_segment(n))
			return NULL;
	return first;
}

static void set_parent(struct dm_config_node *list, struct dm_config_node *lv)
{
	for (; list; list = list->sib)
		list->parent = lv;
}

int meta_swap(struct meta *m, const char *lv1, const char *lv2)
{
	struct dm_config_node *a = find_lv(m, lv1), *b = find_lv(m, lv2);
	struct dm_config_node **sa = segments(a), **sb = segments(b), *tmp;

	if (!sa || !sb || a == b)
		return -EINVAL;
	tmp = *sa;
	*sa = *sb;
	*sb = tmp;
	set_parent(*sa, a);
	set_parent(*sb, b);
	return 0;
}

struct text {
	char *s;
	size_t len;
};

static int put_line(const char *line, void *baton)
{
	struct text *t = baton;
	size_t n = strlen(line);

	t->s = xrealloc(t->s, t->len + n + 2);
	memcpy(t->s + t->len, line, n);
	t->len += n;
	t->s[t->len++] = '\n';
	t->s[t->len] = '\0';
	return 1;
}

char *meta_text(struct meta *m)
{
	struct text t = { 0 };

	if (!dm_config_write_node(m->tree->root, put_line, &t)) {
		free(t.s);
		return NULL;
	}
	return t.s;
}

/* One "pv0", 1234 pair -> "254:1 123456" appended to @params. */
static int add_stripe(struct meta *m, const struct dm_config_value *v,
		      uint64_t extent, meta_pv_fn pv, void *arg, char **params)
{
	autofree char *path = NULL;
	const struct dm_config_node *node;
	uint64_t pe_start;
	const char *id;
	char *longer;
	dev_t devno;

	if (!v || v->type != DM_CFG_STRING || !v->next ||
	    v->next->type != DM_CFG_INT)
		return -EINVAL;
	path = xasprintf("physical_volumes/%s", v->v.str);
	node = dm_config_find_node(m->vg->child, path);
	if (!node || !dm_config_get_uint64(node->child, "pe_start", &pe_start) ||
	    !dm_config_get_str(node->child, "id", &id))
		return -EINVAL;
	devno = pv(id, arg);
	if (!devno)
		return -ENODEV;
	longer = xasprintf("%s%s%u:%u %llu", *params, **params ? " " : "",
			   major(devno), minor(devno),
			   (unsigned long long)(pe_start +
						v->next->v.i * extent));
	free(*params);
	*params = longer;
	return 0;
}

static int add_segment(struct meta *m, const struct dm_config_node *seg,
		       uint64_t extent, meta_pv_fn pv, void *arg,
		       struct table *t)
{
	autofree char *params = xstrdup(""), *striped = NULL;
	uint64_t start, count, stripes, chunk = 0, i;
	const struct dm_config_value *v;
	const char *type;
	int err;

	if (!dm_config_get_str(seg->child, "type", &type) ||
	    strcmp(type, "striped") ||
	    !dm_config_get_uint64(seg->child, "start_extent", &start) ||
	    !dm_config_get_uint64(seg->child, "extent_count", &count) ||
	    !dm_config_get_uint64(seg->child, "stripe_count", &stripes) ||
	    !dm_config_get_list(seg->child, "stripes", &v))
		return -EINVAL;
	for (i = 0; i < stripes; i++, v = v->next->next) {
		err = add_stripe(m, v, extent, pv, arg, &params);
		if (err)
			return err;
	}
	if (stripes > 1) {
		if (!dm_config_get_uint64(seg->child, "stripe_size", &chunk))
			return -EINVAL;
		striped = xasprintf("%llu %llu %s", (unsigned long long)stripes,
				    (unsigned long long)chunk, params);
	}
	table_add(t, start * extent, count * extent,
		  striped ? "striped" : "linear", striped ? striped : params);
	return 0;
}

int meta_table(struct meta *m, const char *lv, meta_pv_fn pv, void *arg,
	       struct table *t)
{
	struct dm_config_node **first = segments(find_lv(m, lv)), *n;
	uint64_t extent;
	int err;

	table_free(t);
	if (!first || !dm_config_get_uint64(m->vg->child, "extent_size", &extent))
		return -EINVAL;
	for (n = *first; n; n = n->sib) {
		if (n->v)
			continue;
		err = add_segment(m, n, extent, pv, arg, t);
		if (err)
			return err;
	}
	return 0;
}
