;; An app of Spin's first ABI, as TinyGo, js2wasm and the Rust SDK before 1.4 made them: functions of a core module, with the
;; flat signatures of the interfaces, and a start function that nobody calls. It writes each URI to its standard output.
;;
;;   /echo            201, a header, and `METHOD URI WORD BODY`: the method's number, the header `x-word`
;;   /send?URL        the status and the body of a GET request, or 502 and the number of the error
;;   /config?KEY      the value, or 404 and the message
;;   /keep?TEXT       what the key "k" held in the store "default" before TEXT, or `nothing`
(module
  (import "wasi-outbound-http" "request" (func $request
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "spin-config" "get-config" (func $get-config (param i32 i32 i32)))
  (import "key-value" "open" (func $open (param i32 i32 i32)))
  (import "key-value" "get" (func $get (param i32 i32 i32 i32)))
  (import "key-value" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
  (import "key-value" "close" (func $close (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 2)
  (data (i32.const 1024) "content-typetext/plainx-made-byfirst ABI")
  (data (i32.const 1100) "defaultknothing")
  ;; Two headers: where each name and value is, and how long.
  (data (i32.const 1200)
    "\00\04\00\00" "\0c\00\00\00" "\0c\04\00\00" "\0a\00\00\00"
    "\16\04\00\00" "\09\00\00\00" "\1f\04\00\00" "\09\00\00\00")
  (global $free (mut i32) (i32.const 4096))

  ;; What is there below: 64 the response, 128 the result of an import, 256 a vector of one for `fd_write`.
  (func $_start (export "_start") unreachable)
  (func (export "spin-sdk-language-go"))
  (func (export "spin-sdk-version-1-5"))

  (func $alloc (export "canonical_abi_realloc")
    (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $new i32)
    (local.set $new (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $new) (local.get $size)))
    (block $enough
      (loop $more
        (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (br $more)))
    (memory.copy (local.get $new) (local.get $old)
      (select (local.get $old-size) (local.get $size) (i32.lt_u (local.get $old-size) (local.get $size))))
    (local.get $new))
  (func (export "canonical_abi_free") (param i32 i32 i32))

  (func $respond (param $status i32) (param $body i32) (param $length i32) (result i32)
    (i32.store16 (i32.const 64) (local.get $status))
    (i32.store8 (i32.const 68) (i32.const 1))
    (i32.store (i32.const 72) (i32.const 1200))
    (i32.store (i32.const 76) (i32.const 2))
    (i32.store8 (i32.const 80) (i32.const 1))
    (i32.store (i32.const 84) (local.get $body))
    (i32.store (i32.const 88) (local.get $length))
    (i32.const 64))

  ;; The text so far with a blank and a piece behind it: its new length, below the end of what was reserved.
  (func $append (param $to i32) (param $length i32) (param $piece i32) (param $size i32) (result i32)
    (i32.store8 (i32.add (local.get $to) (local.get $length)) (i32.const 32))
    (local.set $length (i32.add (local.get $length) (i32.const 1)))
    (memory.copy (i32.add (local.get $to) (local.get $length)) (local.get $piece) (local.get $size))
    (i32.add (local.get $length) (local.get $size)))

  (func $digit (param $number i32) (result i32)
    (local $at i32)
    (local.set $at (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)))
    (i32.store8 (local.get $at) (i32.add (local.get $number) (i32.const 48)))
    (local.get $at))

  ;; The place in the list of headers of the value of `x-word`, or 0.
  (func $word (param $headers i32) (param $count i32) (result i32)
    (local $name i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $count)))
        (local.set $name (i32.load (local.get $headers)))
        (if (i32.eq (i32.load offset=4 (local.get $headers)) (i32.const 6))
          (then (if (i32.and
              (i32.eq (i32.load (local.get $name)) (i32.const 0x6f772d78))
              (i32.eq (i32.load16_u offset=4 (local.get $name)) (i32.const 0x6472)))
            (then (return (i32.add (local.get $headers) (i32.const 8)))))))
        (local.set $headers (i32.add (local.get $headers) (i32.const 16)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func $echo (param $method i32) (param $uri i32) (param $uri-length i32) (param $headers i32) (param $count i32)
    (param $body i32) (param $body-length i32) (result i32)
    (local $text i32) (local $length i32) (local $word i32)
    (local.set $text (call $alloc (i32.const 0) (i32.const 0) (i32.const 1)
      (i32.add (i32.const 8192) (i32.add (local.get $uri-length) (local.get $body-length)))))
    (i32.store8 (local.get $text) (i32.add (local.get $method) (i32.const 48)))
    (local.set $length (call $append (local.get $text) (i32.const 1) (local.get $uri) (local.get $uri-length)))
    (local.set $word (call $word (local.get $headers) (local.get $count)))
    (if (local.get $word) (then
      (local.set $length (call $append (local.get $text) (local.get $length)
        (i32.load (local.get $word)) (i32.load offset=4 (local.get $word))))))
    (local.set $length (call $append (local.get $text) (local.get $length)
      (local.get $body) (local.get $body-length)))
    (call $respond (i32.const 201) (local.get $text) (local.get $length)))

  (func $send (param $url i32) (param $length i32) (result i32)
    (call $request (i32.const 0) (local.get $url) (local.get $length)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
    (if (i32.load8_u (i32.const 128)) (then
      (return (call $respond (i32.const 502) (call $digit (i32.load8_u (i32.const 132))) (i32.const 1)))))
    (if (result i32) (i32.load8_u (i32.const 148))
      (then (call $respond
        (i32.load16_u (i32.const 132)) (i32.load (i32.const 152)) (i32.load (i32.const 156))))
      (else (call $respond (i32.load16_u (i32.const 132)) (i32.const 0) (i32.const 0)))))

  (func $config (param $key i32) (param $length i32) (result i32)
    (call $get-config (local.get $key) (local.get $length) (i32.const 128))
    (if (result i32) (i32.load8_u (i32.const 128))
      (then (call $respond (i32.const 404) (i32.load (i32.const 136)) (i32.load (i32.const 140))))
      (else (call $respond (i32.const 200) (i32.load (i32.const 132)) (i32.load (i32.const 136))))))

  (func $keep (param $text i32) (param $length i32) (result i32)
    (local $store i32) (local $before i32) (local $before-length i32)
    (call $open (i32.const 1100) (i32.const 7) (i32.const 128))
    (if (i32.load8_u (i32.const 128)) (then
      (return (call $respond (i32.const 403) (call $digit (i32.load8_u (i32.const 132))) (i32.const 1)))))
    (local.set $store (i32.load (i32.const 132)))
    (call $get (local.get $store) (i32.const 1107) (i32.const 1) (i32.const 128))
    (if (i32.load8_u (i32.const 128))
      ;; no-such-key is the fifth of the errors.
      (then
        (if (i32.ne (i32.load8_u (i32.const 132)) (i32.const 4)) (then unreachable))
        (local.set $before (i32.const 1108))
        (local.set $before-length (i32.const 7)))
      (else
        (local.set $before (i32.load (i32.const 132)))
        (local.set $before-length (i32.load (i32.const 136)))))
    (call $set (local.get $store) (i32.const 1107) (i32.const 1) (local.get $text) (local.get $length) (i32.const 128))
    (if (i32.load8_u (i32.const 128)) (then unreachable))
    (call $close (local.get $store))
    (call $respond (i32.const 200) (local.get $before) (local.get $before-length)))

  (func (export "handle-http-request")
    (param $method i32) (param $uri i32) (param $uri-length i32) (param $headers i32) (param $headers-count i32)
    (param $params i32) (param $params-count i32) (param $has-body i32) (param $body i32) (param $body-length i32)
    (result i32)
    (local $query i32) (local $query-length i32) (local $route i32)
    (i32.store (i32.const 256) (local.get $uri))
    (i32.store (i32.const 260) (local.get $uri-length))
    (drop (call $fd_write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 264)))
    (local.set $query (local.get $uri))
    (local.set $query-length (local.get $uri-length))
    (block $found
      (loop $next
        (br_if $found (i32.eqz (local.get $query-length)))
        (local.set $query-length (i32.sub (local.get $query-length) (i32.const 1)))
        (local.set $query (i32.add (local.get $query) (i32.const 1)))
        (br_if $next (i32.ne (i32.load8_u (i32.sub (local.get $query) (i32.const 1))) (i32.const 63)))))
    (local.set $route (i32.load8_u offset=1 (local.get $uri)))
    (if (i32.eq (local.get $route) (i32.const 115))
      (then (return (call $send (local.get $query) (local.get $query-length)))))
    (if (i32.eq (local.get $route) (i32.const 99))
      (then (return (call $config (local.get $query) (local.get $query-length)))))
    (if (i32.eq (local.get $route) (i32.const 107))
      (then (return (call $keep (local.get $query) (local.get $query-length)))))
    (call $echo (local.get $method) (local.get $uri) (local.get $uri-length)
      (local.get $headers) (local.get $headers-count)
      (select (local.get $body) (i32.const 0) (local.get $has-body))
      (select (local.get $body-length) (i32.const 0) (local.get $has-body)))))
