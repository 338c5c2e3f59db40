;; The smallest app of Spin's first ABI: it imports nothing and has no start function. It answers without headers.
(module
  (memory (export "memory") 1)
  (data (i32.const 64) "\c8\00") ;; 200
  (data (i32.const 80) "\01\00\00\00" "\00\04\00\00" "\07\00\00\00")
  (data (i32.const 1024) "hello!\n")
  (global $free (mut i32) (i32.const 2048))
  (func (export "canonical_abi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $new i32)
    (local.set $new (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $new) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.const 65536)) (then unreachable))
    (local.get $new))
  (func (export "canonical_abi_free") (param i32 i32 i32))
  (func (export "handle-http-request") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 64)))
