/* Shell commands that make tiny inputs one directory above, and options of runs that take a second. */
#ifndef TEST_TINY_INPUTS_H
#define TEST_TINY_INPUTS_H

#define TEXT "head -c 12000 $ROOT/README.md > ../tiny.txt; "
#define GPT2 "echo '{\"model_type\":\"gpt2\",\"n_embd\":32,\"n_layer\":1,\"n_head\":2,\"n_positions\":16,\"vocab_size\":257}' > ../gpt2.json; "
#define TRAIN " --ctx 16 --batch 2 --steps 4 --save-every 2 --eval-every 2 --eval-windows 4 -q"
#define MODEL TEXT GPT2 "$L train ../tiny.txt --config ../gpt2.json --tokenizer bytes --out ../m" TRAIN
#define TABLE "for i in 1 2 3 4 5 6 7 8; do echo \"a good film $i\tpos\"; echo \"a bad film $i\tneg\"; done > ../t.tsv; "
#define BERT TEXT TABLE "$L train ../tiny.txt --arch bert --params 30k --vocab 300 --out ../b" TRAIN

#define IMAGES "printf '\\0\\0\\010\\003\\0\\0\\0\\014\\0\\0\\0\\010\\0\\0\\0\\010' > ../i-images-idx3-ubyte; printf '\\0\\0\\010\\001\\0\\0\\0\\014' > ../i-labels-idx1-ubyte; " \
    "for n in 1 2 3 4 5 6; do printf \"$n%063d%064d\" 0 1; done >> ../i-images-idx3-ubyte; printf '\\0\\001\\0\\001\\0\\001\\0\\001\\0\\001\\0\\001' >> ../i-labels-idx1-ubyte"

#endif
