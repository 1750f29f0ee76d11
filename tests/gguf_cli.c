/* GGUF files by the program. */
#include "shell.h"
#include "test.h"

/* By the program: a directory, a GGUF file and the directory again; training goes on from the file. */
static void converted_both_ways(void)
{
    CHECK_MSG(sh("$L convert $ROOT/tests/golden/llama a.gguf --tokenizer bytes --json") != 0 && strstr(err, "ids"), "%s", err);
    CHECK_MSG(sh("$L convert $ROOT/tests/golden/llama a.gguf && $L convert a.gguf there && $L convert $ROOT/tests/golden/llama here") == 0, "%s", err);
    CHECK_MSG(sh("cmp here/model.safetensors there/model.safetensors && cmp here/config.json there/config.json") == 0, "%s", out);
    CHECK_MSG(sh("$L convert $ROOT/tests/golden/gguf/llama-q8_0.gguf q.gguf --dtype stored && $L inspect q.gguf") == 0 && strstr(out, "Q8_0") && strstr(out, "lithe.config"), "%s", err);
    CHECK_MSG(sh("$L convert q.gguf q.gguf") == 2 && strstr(err, "there already"), "%s", err);
    CHECK_MSG(sh("$L logits q.gguf --ids '1 2 3' --out l.safetensors") == 0, "%s", err);
    CHECK_MSG(sh("$L quantize q.gguf --to q4_0 --out four.gguf && $L quantize q.gguf --to q4_0 --out four && cmp four.gguf four/model.gguf && test -s four/config.json && ! test -e four/model.safetensors && "
                 "$L convert four.gguf again --dtype stored && cmp again/model.gguf four.gguf") == 0, "%s", err);
    CHECK_MSG(sh("$L logits four --ids '1 2 3' --out a.st && $L logits four.gguf --ids '1 2 3' --out b.st && cmp a.st b.st") == 0, "%s", err);
    CHECK_MSG(sh("$L quantize q.gguf --out four") == 2 && strstr(err, "four: exists and is not empty"), "%s", err);
    CHECK_MSG(sh("seq 300 > t.txt && $L train t.txt --arch llama --params 20k --tokenizer bytes --ctx 16 --batch 2 --steps 1 --out r -q && "
                 "$L convert r r.gguf --dtype f16 -q && $L train t.txt --from r.gguf --ctx 16 --batch 2 --steps 1 --out s -q && $L generate r.gguf a --max-tokens 4 -q") == 0, "%s", err);
}

const test tests_gguf_cli[] = {
    { "gguf: converted both ways", converted_both_ways },
    { 0 },
};
