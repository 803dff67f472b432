// What Node.js sees of the kernels: `sets`, the names of the instruction sets that this processor has, the best first,
// and `bind(set, bytes)`, which gives the function that runs an instruction in the memory behind `bytes`, a Uint8Array:
// `run(instruction, part, first, last)`. Nothing is checked there: the caller is `wasm/index.ts`.
#define _DEFAULT_SOURCE
#include <node_api.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "kernels.h"

/** Returns from the calling function, with Node.js' exception pending, when a call fails. */
#define TRY(call) \
  if ((call) != napi_ok) return NULL

static napi_value run(napi_env env, napi_callback_info info, execute *execute) {
  size_t count = 4;
  napi_value argv[4];
  void *memory;
  int32_t a[4];
  TRY(napi_get_cb_info(env, info, &count, argv, NULL, &memory));
  for (int i = 0; i < 4; i++) TRY(napi_get_value_int32(env, argv[i], &a[i]));
  execute(memory, (uint32_t)a[0], a[1], a[2], a[3]);
  return NULL;
}

static napi_value run_avx512(napi_env env, napi_callback_info info) { return run(env, info, execute_avx512); }
static napi_value run_avx2(napi_env env, napi_callback_info info) { return run(env, info, execute_avx2); }

static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }

static const struct set {
  const char *name;
  int (*is_here)(void);
  napi_callback run;
} SETS[] = {{"avx512-vnni", has_avx512, run_avx512}, {"avx2", has_avx2, run_avx2}};

#define SET_COUNT (sizeof(SETS) / sizeof(SETS[0]))

static napi_value bind(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value argv[2];
  char name[16];
  size_t bytes;
  void *memory;
  TRY(napi_get_cb_info(env, info, &count, argv, NULL, NULL));
  TRY(napi_get_value_string_utf8(env, argv[0], name, sizeof(name), NULL));
  TRY(napi_get_typedarray_info(env, argv[1], NULL, &bytes, &memory, NULL, NULL));
#ifdef MADV_HUGEPAGE
  // With small pages, looking up their places costs bandwidth. It is advice: failing is no harm.
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < SET_COUNT; i++) {
    if (strcmp(SETS[i].name, name) != 0 || !SETS[i].is_here()) continue;
    napi_value function;
    TRY(napi_create_function(env, name, NAPI_AUTO_LENGTH, SETS[i].run, memory, &function));
    return function;
  }
  napi_throw_range_error(env, NULL, "this processor does not have that instruction set");
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value sets, function;
  uint32_t found = 0;
  __builtin_cpu_init();
  TRY(napi_create_array(env, &sets));
  for (size_t i = 0; i < SET_COUNT; i++) {
    napi_value name;
    if (!SETS[i].is_here()) continue;
    TRY(napi_create_string_utf8(env, SETS[i].name, NAPI_AUTO_LENGTH, &name));
    TRY(napi_set_element(env, sets, found++, name));
  }
  TRY(napi_set_named_property(env, exports, "sets", sets));
  TRY(napi_create_function(env, "bind", NAPI_AUTO_LENGTH, bind, NULL, &function));
  TRY(napi_set_named_property(env, exports, "bind", function));
  return exports;
}
