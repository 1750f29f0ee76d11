/* Sessions without end, and sessions on disk: what follows is bit for bit what
 * would have followed; files that do not fit, or lie, change nothing. */
#include "base/random.h"
#include "infer/session.h"
#include "infer_tests.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { VOCAB = 23 };

static const char *const CONFIGS[][2] = {
    { "gpt2", SMALL_GPT2 }, { "llama", SMALL_LLAMA }, { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") }, { "rwkv4", SMALL_RWKV4 }, { "rwkv7", SMALL_RWKV7 } };
enum { CONFIG_COUNT = sizeof CONFIGS / sizeof *CONFIGS };

static lithe_model *model_of(int i, uint64_t seed)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(CONFIGS[i][0], CONFIGS[i][1], seed, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, seed);
    return m;
}

/* Both stand alike, and go on alike. */
static void check_alike(lithe_session *a, lithe_session *b, const char *label)
{
    lithe_error err = { 0 };
    const lithe_sampling o = { .size = sizeof o, .temperature = 0.9f, .repetition = 1.3f, .seed = 5 };
    for (int i = 0; i < 7; i++) {
        const float *x = lithe_session_logits(a), *y = lithe_session_logits(b);
        CHECK_MSG(x && y && !memcmp(x, y, VOCAB * sizeof *x) && lithe_session_length(a) == lithe_session_length(b), "%s: differ after %d more", label, i);
        int32_t id = lithe_session_sample(a, &o, &err);
        CHECK_MSG(id == lithe_session_sample(b, &o, &err), "%s: draw %d", label, i);
        CHECK_MSG(!lithe_session_push(a, id, &err) && !lithe_session_push(b, id, &err), "%s: %s", label, err.text);
    }
}

/* ---- without end ----------------------------------------------------------------------------- */

static void fill_ids(int32_t *ids, size_t n) { for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(random_u64(77, i) % VOCAB); }

void sessions_without_end(void)
{
    int32_t ids[400];
    fill_ids(ids, 400);
    for (int i = 3; i < CONFIG_COUNT; i++) {
        lithe_error err = { 0 };
        lithe_model *m = model_of(i, 3);
        lithe_session *a = lithe_session_open(m, 0, &err), *b = lithe_session_open(m, 0, &err);
        CHECK(lithe_model_context(m) == 24 && lithe_session_context(a) == 0);
        CHECK_MSG(!lithe_session_sync(a, ids, 300, &err) && lithe_session_length(a) == 300, "%s", err.text);
        for (int k = 0; k < 300; k++) CHECK(!lithe_session_push(b, ids[k], &err));
        check_alike(a, b, CONFIGS[i][0]);
        CHECK(!lithe_session_sync(a, ids, 40, &err) && !lithe_session_sync(b, ids, 20, &err) && !lithe_session_extend(b, ids + 20, 20, &err));
        check_alike(a, b, CONFIGS[i][0]);
        CHECK(!lithe_session_sync(a, ids, 400, &err) && !lithe_session_sync(b, ids + 1, 5, &err) && !lithe_session_sync(b, ids, 400, &err));
        check_alike(a, b, CONFIGS[i][0]);
        lithe_session_close(b);
        b = lithe_session_open(m, 30, &err);                    /* a limit that was asked for, beyond the trained one */
        CHECK(b && lithe_session_context(b) == 30 && lithe_session_sync(b, ids, 31, &err) == LITHE_EFULL);
        err = (lithe_error){ 0 };
        CHECK(!lithe_session_sync(b, ids, 30, &err) && lithe_session_push(b, 1, &err) == LITHE_EFULL && lithe_session_length(b) == 30);
        lithe_session_close(a);
        lithe_session_close(b);
        lithe_model_close(m);
    }
}

/* What was read is not read again: changed parameters show only in what follows. */
void endless_prefixes_are_kept(void)
{
    int32_t ids[60];
    fill_ids(ids, 60);
    lithe_error err = { 0 };
    lithe_model *m = model_of(4, 3);
    lithe_session *kept = lithe_session_open(m, 0, &err), *pushed = lithe_session_open(m, 0, &err), *fresh = lithe_session_open(m, 0, &err);
    CHECK(!lithe_session_sync(kept, ids, 50, &err) && !lithe_session_sync(pushed, ids, 50, &err));
    for (size_t i = 0; i < m->params->arena_count; i++) m->params->values[i] *= (real)1.1;
    params_edit(m->params);
    CHECK(!lithe_session_sync(kept, ids, 51, &err) && !lithe_session_push(pushed, ids[50], &err) && !lithe_session_sync(fresh, ids, 51, &err));
    CHECK(!memcmp(lithe_session_logits(kept), lithe_session_logits(pushed), VOCAB * sizeof(float)));
    CHECK(max_difference(lithe_session_logits(kept), lithe_session_logits(fresh), VOCAB) > 1e-3);
    ids[10]++;
    ids[10] %= VOCAB;
    CHECK(!lithe_session_sync(kept, ids, 52, &err) && !lithe_session_sync(fresh, ids, 52, &err));
    CHECK(!memcmp(lithe_session_logits(kept), lithe_session_logits(fresh), VOCAB * sizeof(float)));
    lithe_session_close(kept);
    lithe_session_close(pushed);
    lithe_session_close(fresh);
    lithe_model_close(m);
}

/* ---- on disk ------------------------------------------------------------------------------------ */

/* a stands after ids[0 .. 11]; saved, loaded by b, and from there the same. */
static void check_saved(const char *name, lithe_session *a, lithe_session *b, const int32_t *ids)
{
    lithe_error err = { 0 };
    mapping x = { 0 }, y = { 0 };
    CHECK_MSG(!lithe_session_save(a, NULL, in_dir("state"), &err) && !lithe_session_load(b, NULL, in_dir("state"), &err), "%s: %s", name, err.text);
    CHECK(!lithe_session_save(b, NULL, in_dir("again"), &err));
    CHECK(!file_map(&x, in_dir("state"), &err) && !file_map(&y, in_dir("again"), &err) && x.size == y.size && !memcmp(x.data, y.data, x.size));
    file_unmap(&x);
    file_unmap(&y);
    check_alike(a, b, name);
    CHECK(!lithe_session_load(b, NULL, in_dir("state"), &err) && !lithe_session_sync(b, ids, 5, &err) && !lithe_session_sync(a, ids, 5, &err));
    check_alike(a, b, name);                                    /* prefixes are known after a loaded state as well */
    CHECK(!lithe_session_sync(a, NULL, 0, &err) && !lithe_session_save(a, NULL, in_dir("empty"), &err) && !lithe_session_load(b, NULL, in_dir("empty"), &err));
    CHECK_MSG(!lithe_session_length(b) && !lithe_session_logits(b), "%s: %s", name, err.text);
    CHECK(!lithe_session_sync(a, ids, 3, &err) && !lithe_session_sync(b, ids, 3, &err));
    check_alike(a, b, name);
}

void states_on_disk(void)
{
    int32_t ids[12];
    int count, tried = 0;
    const small_case *cases = small_cases(&count);
    fill_ids(ids, 12);
    for (int i = 0; i < count; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 3, &err), *same = lithe_model_new(cases[i].arch, cases[i].config, 3, &err);
        if (m && same && !must_continue_text(m, NULL)) {
            small_perturb(m->params, 0.3, 3);
            small_perturb(same->params, 0.3, 3);
            for (int half = 0; half < 2; half++) {
                const char *type = half ? "f16" : "f32";
                lithe_session *a = lithe_session_open_with(m, &LITHE_OPTIONS(lithe_session_options, .cache_type = type), &err);
                lithe_session *b = lithe_session_open_with(same, &LITHE_OPTIONS(lithe_session_options, .context = lithe_session_context(a) ? 21 : 0, .cache_type = type), &err);
                CHECK_MSG(!lithe_session_sync(a, ids, 12, &err) && !lithe_session_sync(b, ids + 3, 9, &err), "%s: %s", cases[i].name, err.text);
                check_saved(cases[i].name, a, b, ids);
                lithe_session_close(a);
                lithe_session_close(b);
            }
            tried++;
        }
        lithe_model_close(m);
        lithe_model_close(same);
    }
    CHECK_MSG(tried > 10, "%d of %d models continue a text", tried, count);
}

static void check_refused(lithe_session *s, const lithe_tokenizer *t, const char *path, const char *label, const char *why)
{
    lithe_error err = { 0 };
    int status = lithe_session_load(s, t, path, &err);
    CHECK_MSG(status && status == (int)err.status && strstr(err.text, why) && !strchr(err.text, '\n'), "%s: %d \"%s\", expected ... %s ...", label, status, err.text, why);
}

/* Another model, of the same architecture or not, another tokenizer, a text that is too long. */
void states_of_others(void)
{
    int32_t ids[12];
    fill_ids(ids, 12);
    lithe_error err = { 0 };
    lithe_model *m = model_of(3, 3), *other = model_of(3, 4), *seven = model_of(4, 3), *gpt2 = model_of(0, 3);
    lithe_session *s = lithe_session_open(m, 0, &err), *o = lithe_session_open(other, 0, &err), *n = lithe_session_open(seven, 0, &err), *limited = lithe_session_open(gpt2, 8, &err);
    lithe_session *long_one = lithe_session_open(gpt2, 0, &err);
    lithe_tokenizer *bytes = lithe_tokenizer_open("bytes", &err), *learned = lithe_tokenizer_train("a rose is a rose", 16, 260, &err);
    CHECK_MSG(!lithe_session_sync(s, ids, 12, &err) && !lithe_session_sync(n, ids, 4, &err) && !lithe_session_sync(long_one, ids, 12, &err), "%s", err.text);
    CHECK(!lithe_session_save(s, bytes, in_dir("state"), &err) && !lithe_session_save(long_one, NULL, in_dir("long"), &err));
    check_refused(o, bytes, in_dir("state"), "other parameters", "is a session of the rwkv4 model ");
    check_refused(n, bytes, in_dir("state"), "other architecture", "this is the rwkv7 model ");
    check_refused(s, learned, in_dir("state"), "other tokenizer", "was saved with the tokenizer ");
    check_refused(limited, NULL, in_dir("long"), "too long", "12 tokens long, the context holds 8");
    CHECK(lithe_session_length(n) == 4 && !lithe_session_length(o) && lithe_session_length(s) == 12);
    CHECK_MSG(!lithe_session_load(s, NULL, in_dir("state"), &err), "%s", err.text);                    /* nobody asks */
    check_refused(s, NULL, in_dir("nothing"), "no file", "nothing");
    check_refused(s, NULL, test_file("tests/golden/rwkv4/model.safetensors"), "a model", "is no saved session");
    m->params->values[0] += 1;
    check_refused(s, NULL, in_dir("state"), "one number", "is a session of the rwkv4 model ");
    CHECK(lithe_session_save(s, NULL, in_dir("no/where"), &err) && lithe_session_load(NULL, NULL, "x", NULL) && lithe_session_save(NULL, NULL, "x", NULL));
    lithe_session *const sessions[] = { s, o, n, limited, long_one };
    lithe_model *const models[] = { m, other, seven, gpt2 };
    for (int i = 0; i < 5; i++) lithe_session_close(sessions[i]);
    for (int i = 0; i < 4; i++) lithe_model_close(models[i]);
    lithe_tokenizer_close(bytes);
    lithe_tokenizer_close(learned);
}

/* ---- states to begin from --------------------------------------------------------------------------- */

/* Mixes that look at a row alone, so that matrices are all that a text leaves. */
static void forget_rows(lithe_model *m)
{
    for (int i = 0; i < m->params->count; i++) {
        param *p = m->params->items[i];
        bool present = strstr(p->name, ".time_mix_"), past = strstr(p->name, ".x_") || strstr(p->name, ".time_maa_");
        for (size_t k = 0; (present || past) && k < p->count; k++) p->weight.values[k] = present;
        p->weight.version++;
    }
}

/* The matrices of s as the files of state tuning hold them, beside `more`. */
static void put_tuned(const lithe_session *s, int H, int N, const char *path, const out_tensor *more)
{
    lithe_error err = { 0 };
    out_tensor out[16];
    char names[16][64];
    int n = 0;
    for (int i = 0; i < engine_states(s->engine); i++) {
        slot_state x = engine_state(s->engine, i, 0);
        const char *at = strstr(x.name, "wkv");
        if (!at) continue;
        snprintf(names[n], sizeof names[n], "%.*stime_state", (int)(at - x.name), x.name);
        out[n] = (out_tensor){ .name = names[n], .type = DT_F32, .rank = 3, .dims = { H, N, N }, .data = x.data };
        n++;
    }
    if (more) out[n++] = *more;
    CHECK_MSG(!pytorch_write(path, out, n, &err), "%s", err.text);
}

void states_to_begin_from(void)
{
    static const char *const configs[][2] = { { "rwkv5", SMALL_RWKV5 }, { "rwkv6", SMALL_RWKV6 }, { "rwkv7", SMALL_RWKV7 } };
    int32_t ids[16];
    fill_ids(ids, 16);
    for (int i = 0; i < 3; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new(configs[i][0], configs[i][1], 3, &err);
        CHECK_MSG(m, "%s", err.text);
        if (!m) continue;
        small_perturb(m->params, 0.3, 3);
        forget_rows(m);
        lithe_session *a = lithe_session_open(m, 0, &err), *b = lithe_session_open(m, 0, &err);
        CHECK(!lithe_session_sync(a, ids, 10, &err));
        put_tuned(a, 3, 4, in_dir("tuned.pth"), NULL);
        CHECK(!lithe_session_sync(b, ids + 2, 3, &err) && !lithe_session_extend(a, ids + 10, 6, &err));
        CHECK_MSG(!lithe_session_load(b, NULL, in_dir("tuned.pth"), &err) && !lithe_session_length(b) && !lithe_session_logits(b), "%s", err.text);
        for (int again = 0; again < 2; again++) {
            CHECK_MSG(!lithe_session_sync(b, ids + 10, 6, &err) && lithe_session_length(b) == 6, "%s", err.text);
            double worst = max_difference(lithe_session_logits(a), lithe_session_logits(b), VOCAB);
            /* Version 5's mix of 1 rounds. */
            CHECK_MSG(worst <= (i ? 0 : 1e-5), "%s: logits differ by %g", configs[i][0], worst);
            CHECK(!lithe_session_sync(b, ids, 4, &err));                /* something else; then it begins there anew */
        }
        lithe_session_close(a);
        lithe_session_close(b);
        lithe_model_close(m);
    }
}

void states_to_begin_from_refused(void)
{
    static const float one[48] = { 1 }, bad[36] = { NAN };
    const out_tensor extra = { .name = "blocks.7.att.time_state", .type = DT_F32, .rank = 3, .dims = { 1, 6, 6 }, .data = one };
    const out_tensor flat = { .name = "blocks.0.att.time_state", .type = DT_F32, .rank = 2, .dims = { 12, 4 }, .data = one }, first = { .name = "blocks.0.att.time_state", .type = DT_F32, .rank = 3, .dims = { 1, 6, 6 }, .data = bad };
    lithe_error err = { 0 };
    lithe_model *m = model_of(4, 3), *four = model_of(3, 3), *gpt2 = model_of(0, 3);
    lithe_session *s = lithe_session_open(m, 0, &err), *o = lithe_session_open(four, 0, &err), *g = lithe_session_open(gpt2, 0, &err);
    int32_t ids[3] = { 1, 2, 3 };
    CHECK(!lithe_session_sync(s, ids, 3, &err));
    put_tuned(s, 3, 4, in_dir("tuned.pth"), &extra);
    check_refused(s, NULL, in_dir("tuned.pth"), "one too many", "holds 4 tensors, 3 of them states of this model's 3 layers");
    put_tuned(s, 12, 2, in_dir("heads.pth"), NULL);
    check_refused(g, NULL, in_dir("heads.pth"), "attention", "which gpt2 models do not have");
    CHECK(!pytorch_write(in_dir("flat.pth"), &flat, 1, &err) && !pytorch_write(in_dir("bad.pth"), &first, 1, &err));
    check_refused(s, NULL, in_dir("flat.pth"), "too few", "1 of them states of this model's 3 layers");
    check_refused(o, NULL, in_dir("bad.pth"), "another version", "holds 1 tensors");
    lithe_session_close(s);
    lithe_session_close(o);
    lithe_session_close(g);
    lithe_model_close(m);
    lithe_model_close(four);
    lithe_model_close(gpt2);
}

/* ---- files that lie --------------------------------------------------------------------------------- */

/* The saved file with one thing changed: a metadata key, or a tensor. */
typedef struct { const char *label, *key, *value, *tensor; dtype type; int64_t size; double first; const char *why; } lie;

static void tell(const char *from, const char *to, const lie *l)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_open(from, &err);
    out_tensor out[64];
    static int32_t numbers[64];
    static float reals[4096];
    int n = 0;
    bool replaced = false;
    for (int i = 0; i < 4096; i++) reals[i] = (float)l->first;
    for (int i = 0; i < 64; i++) numbers[i] = (int32_t)l->first;
    for (int i = 0; f && i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        out[n] = (out_tensor){ .name = t->name, .type = t->type, .rank = t->rank, .dims = { t->dims[0], t->dims[1] }, .data = t->data };
        if (l->tensor && !strcmp(t->name, l->tensor)) {
            replaced = true;
            if (!l->size) continue;
            out[n].rank = 1, out[n].type = l->type, out[n].dims[0] = l->size, out[n].data = l->type == DT_I32 ? (void *)numbers : (void *)reals;
        }
        n++;
    }
    if (l->tensor && !replaced) out[n++] = (out_tensor){ .name = l->tensor, .type = l->type, .rank = 1, .dims = { l->size }, .data = reals };
    json_t *meta = json_deep_copy(f->metadata);
    if (l->key) { if (l->value) json_object_set_new(meta, l->key, json_string(l->value)); else json_object_del(meta, l->key); }
    CHECK_MSG(!safetensors_write(to, out, n, meta, &err), "%s: %s", l->label, err.text);
    json_decref(meta);
    tensor_file_close(f);
}

static void check_lies(int config, const lie *lies, size_t n)
{
    int32_t ids[12];
    fill_ids(ids, 12);
    lithe_error err = { 0 };
    lithe_model *m = model_of(config, 3);
    lithe_session *s = lithe_session_open(m, 0, &err), *other = lithe_session_open(m, 0, &err);
    CHECK(!lithe_session_sync(s, ids, 12, &err) && !lithe_session_save(s, NULL, in_dir("state"), &err) && !lithe_session_sync(s, ids, 9, &err) && !lithe_session_sync(other, ids, 9, &err));
    for (size_t i = 0; i < n; i++) {
        tell(in_dir("state"), in_dir("lie"), &lies[i]);
        check_refused(s, NULL, in_dir("lie"), lies[i].label, lies[i].why);
    }
    check_alike(s, other, "after all that was refused");
    lithe_session_close(s);
    lithe_session_close(other);
    lithe_model_close(m);
}

void states_that_lie(void)
{
    static const lie ENDLESS[] = {
        { .label = "no format", .key = "format", .why = "no saved session" }, { .label = "version", .key = "version", .value = "2", .why = "version \"2\"; version 1" },
        { .label = "no tokens", .key = "tokens", .why = "number of tokens is \"\"" }, { .label = "negative", .key = "tokens", .value = "-1", .why = "number of tokens" },
        { .label = "huge", .key = "tokens", .value = "99999999999999999999", .why = "number of tokens" }, { .label = "fewer", .key = "tokens", .value = "2", .why = "seen is I32" },
        { .label = "none", .key = "tokens", .value = "0", .why = "seen is I32" },
        { .label = "last", .key = "last", .value = "23", .why = "last token is damaged" }, { .label = "no last", .key = "last", .why = "damaged" },
        { .label = "digest", .key = "digest", .value = "12", .why = "digest" }, { .label = "digest of letters", .key = "digest", .value = "zz345678901234567890123456789012", .why = "digest" },
        { .label = "no seen", .tensor = "seen", .why = "holds no seen" }, { .label = "seen twice", .tensor = "seen", .type = DT_I32, .size = 2, .first = 3, .why = "seen holds 3 twice" },
        { .label = "not in the vocabulary", .tensor = "seen", .type = DT_I32, .size = 1, .first = 23, .why = "not in the vocabulary of 23" },
        { .label = "negative id", .tensor = "seen", .type = DT_I32, .size = 1, .first = -1, .why = "not in the vocabulary" },
        { .label = "seen as floats", .tensor = "seen", .type = DT_F32, .size = 1, .why = "expected I32" },
        { .label = "no state", .tensor = "state.blocks.0.att.wkv", .why = "holds no state.blocks.0.att.wkv" },
        { .label = "short state", .tensor = "state.blocks.0.att.wkv", .type = DT_F32, .size = 35, .why = "is F32 of 35 numbers, expected F32 of 36" },
        { .label = "not finite", .tensor = "state.blocks.1.att.wkv", .type = DT_F32, .size = 36, .first = NAN, .why = "no finite number" },
        { .label = "long logits", .tensor = "logits", .type = DT_F32, .size = 24, .why = "logits is F32 of 24" },
        { .label = "logits not finite", .tensor = "logits", .type = DT_F32, .size = 23, .first = INFINITY, .why = "no finite number" },
        { .label = "one too many", .tensor = "state.blocks.9.att.wkv", .type = DT_F32, .size = 4, .why = "tensors, a session of this model has" },
    };
    static const lie KEYS[] = {
        { .label = "more", .key = "tokens", .value = "13", .why = "ids is I32 of 12 numbers, expected I32 of 13" }, { .label = "too many", .key = "tokens", .value = "25", .why = "25 tokens long, the context holds 24" },
        { .label = "no ids", .tensor = "ids", .why = "holds no ids" }, { .label = "bad ids", .tensor = "ids", .type = DT_I32, .size = 12, .first = 40, .why = "ids[0] is 40" },
        { .label = "flat keys", .tensor = "state.h.0.k", .type = DT_F32, .size = 144, .why = "state.h.0.k is F32 of 144 numbers" },
    };
    check_lies(3, ENDLESS, sizeof ENDLESS / sizeof *ENDLESS);
    check_lies(0, KEYS, sizeof KEYS / sizeof *KEYS);
}

/* Without the care of file_write, which waits for the disk. */
static void put_bytes(const char *path, const char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, size, f) == size);
    if (f) fclose(f);
}

/* Hundreds of damaged files: each is refused, or loads into a session that goes on. */
void states_damaged(void)
{
    int32_t ids[12];
    fill_ids(ids, 12);
    for (int i = 3; i >= 0; i -= 3) {
        lithe_error err = { 0 };
        size_t size;
        int loaded = 0;
        lithe_model *m = model_of(i, 3);
        lithe_session *s = lithe_session_open(m, 0, &err);
        CHECK(!lithe_session_sync(s, ids, 12, &err) && !lithe_session_save(s, NULL, in_dir("state"), &err));
        char *bytes = file_read(in_dir("state"), 1 << 20, &size, &err);
        for (uint64_t k = 0; bytes && k < 600; k++) {
            size_t at = random_u64(9, k) % (k % 2 ? size : 900), cut = k % 5 ? size : at;
            char old = bytes[at];
            lithe_error refusal = { 0 };
            bytes[at] = (char)random_u64(10, k);
            put_bytes(in_dir("damaged"), bytes, cut);
            int status = lithe_session_load(s, NULL, in_dir("damaged"), &refusal);
            loaded += !status;
            CHECK(!status == !refusal.status && !strchr(refusal.text, '\n'));
            if (!status && lithe_session_length(s) < 20) CHECK(!lithe_session_push(s, 1, &refusal));
            bytes[at] = old;
        }
        CHECK_MSG(loaded > 20 && loaded < 480, "%d of 600 loaded", loaded);
        free(bytes);
        lithe_session_close(s);
        lithe_model_close(m);
    }
}
