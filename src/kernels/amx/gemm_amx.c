#include "kernels/kernels.h"
void kernels_amx(kernels *k) { k->name = "amx"; }
