// The Node-API module of the native kernels. It exports `sets`, the names of the instruction sets that this processor has, the
// best first. And it exports `bind(set, bytes)`, which returns two functions that work on the memory of `bytes`, a Uint8Array:
// `run(instruction, part, first, last)` and `sum(sum, scratch)`. They do not check their arguments: only `../wasm/` calls them.
#define _DEFAULT_SOURCE
#include <node_api.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "kernels.h"

/** If a call fails, returns from the calling function. Node.js has an exception pending then. */
#define TRY(call) \
  if ((call) != napi_ok) return NULL

/** Reads `count` integers from the arguments of a call, and the memory address that was bound to the function. */
static napi_status read_call(napi_env env, napi_callback_info info, size_t count, int32_t *numbers, void **memory) {
  napi_value argv[4];
  size_t given = 4;
  napi_status status = napi_get_cb_info(env, info, &given, argv, NULL, memory);
  for (size_t i = 0; i < count && status == napi_ok; i++) status = napi_get_value_int32(env, argv[i], &numbers[i]);
  return status;
}

static napi_value run(napi_env env, napi_callback_info info, run_kernel *run) {
  void *memory;
  int32_t a[4];
  TRY(read_call(env, info, 4, a, &memory));
  run(memory, (uint32_t)a[0], a[1], a[2], a[3]);
  return NULL;
}

static napi_value sum(napi_env env, napi_callback_info info, sum_row_of_logits *sum) {
  void *memory;
  int32_t a[2];
  TRY(read_call(env, info, 2, a, &memory));
  sum(memory, a[0], (uint32_t)a[1]);
  return NULL;
}

static napi_value call_run_avx512(napi_env env, napi_callback_info info) { return run(env, info, run_avx512); }
static napi_value call_sum_avx512(napi_env env, napi_callback_info info) { return sum(env, info, sum_avx512); }
static napi_value call_run_avx2(napi_env env, napi_callback_info info) { return run(env, info, run_avx2); }
static napi_value call_sum_avx2(napi_env env, napi_callback_info info) { return sum(env, info, sum_avx2); }

static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }

static const struct set {
  const char *name;
  int (*is_here)(void);
  napi_callback run;
  napi_callback sum;
} SETS[] = {
    {"avx512-vnni", has_avx512, call_run_avx512, call_sum_avx512},
    {"avx2", has_avx2, call_run_avx2, call_sum_avx2},
};

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
  // With small pages the processor's address translation (TLB) misses often. This is only advice to the system, and may fail.
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < SET_COUNT; i++) {
    if (strcmp(SETS[i].name, name) != 0 || !SETS[i].is_here()) continue;
    napi_value functions, run, sum;
    TRY(napi_create_object(env, &functions));
    TRY(napi_create_function(env, "run", NAPI_AUTO_LENGTH, SETS[i].run, memory, &run));
    TRY(napi_create_function(env, "sum", NAPI_AUTO_LENGTH, SETS[i].sum, memory, &sum));
    TRY(napi_set_named_property(env, functions, "run", run));
    TRY(napi_set_named_property(env, functions, "sum", sum));
    return functions;
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
