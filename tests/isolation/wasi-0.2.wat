;; What components of the isolation suite import of WASI 0.2, as far as they need it. Put in front of a component whole.

(import "wasi:io/error@0.2.0" (instance $error
  (export "error" (type $error (sub resource)))))
(alias export $error "error" (type $io-error))

(import "wasi:io/poll@0.2.0" (instance $poll
  (export "pollable" (type $pollable (sub resource)))
  (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
  (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
(alias export $poll "pollable" (type $pollable))

(import "wasi:io/streams@0.2.0" (instance $streams
  (export "error" (type $error (eq $io-error)))
  (export "pollable" (type $pollable' (eq $pollable)))
  (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
  (export "stream-error" (type $stream-error (eq $stream-error')))
  (export "input-stream" (type $input-stream (sub resource)))
  (export "output-stream" (type $output-stream (sub resource)))
  (export "[method]input-stream.read" (func
    (param "self" (borrow $input-stream)) (param "len" u64) (result (result (list u8) (error $stream-error)))))
  (export "[method]input-stream.blocking-read" (func
    (param "self" (borrow $input-stream)) (param "len" u64) (result (result (list u8) (error $stream-error)))))
  (export "[method]input-stream.skip" (func
    (param "self" (borrow $input-stream)) (param "len" u64) (result (result u64 (error $stream-error)))))
  (export "[method]input-stream.subscribe" (func (param "self" (borrow $input-stream)) (result (own $pollable'))))
  (export "[method]output-stream.check-write" (func
    (param "self" (borrow $output-stream)) (result (result u64 (error $stream-error)))))
  (export "[method]output-stream.write" (func
    (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))
  (export "[method]output-stream.blocking-write-and-flush" (func
    (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))
  (export "[method]output-stream.write-zeroes" (func
    (param "self" (borrow $output-stream)) (param "len" u64) (result (result (error $stream-error)))))
  (export "[method]output-stream.blocking-write-zeroes-and-flush" (func
    (param "self" (borrow $output-stream)) (param "len" u64) (result (result (error $stream-error)))))
  (export "[method]output-stream.subscribe" (func (param "self" (borrow $output-stream)) (result (own $pollable'))))))
(alias export $streams "input-stream" (type $input-stream))
(alias export $streams "output-stream" (type $output-stream))

(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
  (export "pollable" (type $pollable' (eq $pollable)))
  (export "now" (func (result u64)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable'))))))

(import "wasi:random/random@0.2.0" (instance $random
  (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
(import "wasi:random/insecure@0.2.0" (instance $insecure
  (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))))

(import "wasi:cli/stdout@0.2.0" (instance $stdout
  (export "output-stream" (type $output-stream' (eq $output-stream)))
  (export "get-stdout" (func (result (own $output-stream'))))))
(import "wasi:cli/stderr@0.2.0" (instance $stderr
  (export "output-stream" (type $output-stream' (eq $output-stream)))
  (export "get-stderr" (func (result (own $output-stream'))))))
(import "wasi:cli/terminal-output@0.2.0" (instance $terminal-output
  (export "terminal-output" (type $terminal-output (sub resource)))))
(alias export $terminal-output "terminal-output" (type $terminal))
(import "wasi:cli/terminal-stdout@0.2.0" (instance $terminal-stdout
  (export "terminal-output" (type $terminal-output' (eq $terminal)))
  (export "get-terminal-stdout" (func (result (option (own $terminal-output')))))))

(import "wasi:filesystem/types@0.2.0" (instance $filesystem
  (export "input-stream" (type $input-stream' (eq $input-stream)))
  (export "descriptor" (type $descriptor (sub resource)))
  (export "directory-entry-stream" (type $directory-entry-stream (sub resource)))
  (type $error-code' (enum
    "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
    "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links"
    "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space"
    "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted"
    "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
  (export "error-code" (type $error-code (eq $error-code')))
  (type $descriptor-flags' (flags
    "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
  (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-flags')))
  (type $path-flags' (flags "symlink-follow"))
  (export "path-flags" (type $path-flags (eq $path-flags')))
  (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
  (export "open-flags" (type $open-flags (eq $open-flags')))
  (export "[method]descriptor.read-via-stream" (func
    (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $input-stream') (error $error-code)))))
  (export "[method]descriptor.read" (func
    (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
    (result (result (tuple (list u8) bool) (error $error-code)))))
  (export "[method]descriptor.read-directory" (func
    (param "self" (borrow $descriptor)) (result (result (own $directory-entry-stream) (error $error-code)))))
  (type $descriptor-type' (enum
    "unknown" "block-device" "character-device" "directory" "fifo" "symbolic-link" "regular-file" "socket"))
  (export "descriptor-type" (type $descriptor-type (eq $descriptor-type')))
  (type $directory-entry' (record (field "type" $descriptor-type) (field "name" string)))
  (export "directory-entry" (type $directory-entry (eq $directory-entry')))
  (export "[method]directory-entry-stream.read-directory-entry" (func
    (param "self" (borrow $directory-entry-stream)) (result (result (option $directory-entry) (error $error-code)))))
  (export "[method]descriptor.open-at" (func
    (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
    (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
    (result (result (own $descriptor) (error $error-code)))))
  (export "[method]descriptor.rename-at" (func
    (param "self" (borrow $descriptor)) (param "old-path" string) (param "new-descriptor" (borrow $descriptor))
    (param "new-path" string) (result (result (error $error-code)))))
  (export "[method]descriptor.symlink-at" (func
    (param "self" (borrow $descriptor)) (param "old-path" string) (param "new-path" string)
    (result (result (error $error-code)))))))
(alias export $filesystem "directory-entry-stream" (type $directory-entry-stream))
(alias export $filesystem "descriptor" (type $descriptor))
(import "wasi:filesystem/preopens@0.2.0" (instance $preopens
  (export "descriptor" (type $descriptor' (eq $descriptor)))
  (export "get-directories" (func (result (list (tuple (own $descriptor') string)))))))

(import "wasi:sockets/network@0.2.0" (instance $network
  (export "network" (type $network (sub resource)))
  (type $error-code' (enum
    "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
    "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
    "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
    "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
  (export "error-code" (type $error-code (eq $error-code')))
  (type $ip-address-family' (enum "ipv4" "ipv6"))
  (export "ip-address-family" (type $ip-address-family (eq $ip-address-family')))
  (type $ipv4-address' (tuple u8 u8 u8 u8))
  (export "ipv4-address" (type $ipv4-address (eq $ipv4-address')))
  (type $ipv6-address' (tuple u16 u16 u16 u16 u16 u16 u16 u16))
  (export "ipv6-address" (type $ipv6-address (eq $ipv6-address')))
  (type $ipv4-socket-address' (record (field "port" u16) (field "address" $ipv4-address)))
  (export "ipv4-socket-address" (type $ipv4-socket-address (eq $ipv4-socket-address')))
  (type $ipv6-socket-address' (record
    (field "port" u16) (field "flow-info" u32) (field "address" $ipv6-address) (field "scope-id" u32)))
  (export "ipv6-socket-address" (type $ipv6-socket-address (eq $ipv6-socket-address')))
  (type $ip-socket-address' (variant (case "ipv4" $ipv4-socket-address) (case "ipv6" $ipv6-socket-address)))
  (export "ip-socket-address" (type $ip-socket-address (eq $ip-socket-address')))))
(alias export $network "network" (type $net))
(alias export $network "error-code" (type $net-error))
(alias export $network "ip-address-family" (type $family))
(alias export $network "ip-socket-address" (type $address))

(import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
  (export "network" (type $network' (eq $net)))
  (export "instance-network" (func (result (own $network'))))))

(import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
  (export "network" (type $network' (eq $net)))
  (export "error-code" (type $error-code (eq $net-error)))
  (export "resolve-address-stream" (type $resolve-address-stream (sub resource)))
  (export "resolve-addresses" (func
    (param "network" (borrow $network')) (param "name" string)
    (result (result (own $resolve-address-stream) (error $error-code)))))))
(alias export $lookup "resolve-address-stream" (type $resolve-address-stream))

(import "wasi:sockets/tcp@0.2.0" (instance $tcp
  (export "input-stream" (type $input-stream' (eq $input-stream)))
  (export "output-stream" (type $output-stream' (eq $output-stream)))
  (export "pollable" (type $pollable' (eq $pollable)))
  (export "network" (type $network' (eq $net)))
  (export "error-code" (type $error-code (eq $net-error)))
  (export "ip-socket-address" (type $ip-socket-address (eq $address)))
  (export "tcp-socket" (type $tcp-socket (sub resource)))
  (export "[method]tcp-socket.start-connect" (func
    (param "self" (borrow $tcp-socket)) (param "network" (borrow $network'))
    (param "remote-address" $ip-socket-address) (result (result (error $error-code)))))
  (export "[method]tcp-socket.finish-connect" (func
    (param "self" (borrow $tcp-socket))
    (result (result (tuple (own $input-stream') (own $output-stream')) (error $error-code)))))
  (export "[method]tcp-socket.subscribe" (func (param "self" (borrow $tcp-socket)) (result (own $pollable'))))))
(alias export $tcp "tcp-socket" (type $tcp-socket))
(import "wasi:sockets/tcp-create-socket@0.2.0" (instance $tcp-create
  (export "error-code" (type $error-code (eq $net-error)))
  (export "ip-address-family" (type $ip-address-family (eq $family)))
  (export "tcp-socket" (type $tcp-socket' (eq $tcp-socket)))
  (export "create-tcp-socket" (func
    (param "address-family" $ip-address-family) (result (result (own $tcp-socket') (error $error-code)))))))

(import "wasi:sockets/udp@0.2.0" (instance $udp
  (export "pollable" (type $pollable' (eq $pollable)))
  (export "network" (type $network' (eq $net)))
  (export "error-code" (type $error-code (eq $net-error)))
  (export "ip-socket-address" (type $ip-socket-address (eq $address)))
  (type $outgoing-datagram' (record
    (field "data" (list u8)) (field "remote-address" (option $ip-socket-address))))
  (export "outgoing-datagram" (type $outgoing-datagram (eq $outgoing-datagram')))
  (export "udp-socket" (type $udp-socket (sub resource)))
  (export "incoming-datagram-stream" (type $incoming-datagram-stream (sub resource)))
  (export "outgoing-datagram-stream" (type $outgoing-datagram-stream (sub resource)))
  (export "[method]udp-socket.start-bind" (func
    (param "self" (borrow $udp-socket)) (param "network" (borrow $network'))
    (param "local-address" $ip-socket-address) (result (result (error $error-code)))))
  (export "[method]udp-socket.finish-bind" (func
    (param "self" (borrow $udp-socket)) (result (result (error $error-code)))))
  (export "[method]udp-socket.stream" (func
    (param "self" (borrow $udp-socket)) (param "remote-address" (option $ip-socket-address))
    (result (result
      (tuple (own $incoming-datagram-stream) (own $outgoing-datagram-stream)) (error $error-code)))))
  (export "[method]outgoing-datagram-stream.check-send" (func
    (param "self" (borrow $outgoing-datagram-stream)) (result (result u64 (error $error-code)))))
  (export "[method]outgoing-datagram-stream.send" (func
    (param "self" (borrow $outgoing-datagram-stream)) (param "datagrams" (list $outgoing-datagram))
    (result (result u64 (error $error-code)))))))
(alias export $udp "udp-socket" (type $udp-socket))
(import "wasi:sockets/udp-create-socket@0.2.0" (instance $udp-create
  (export "error-code" (type $error-code (eq $net-error)))
  (export "ip-address-family" (type $ip-address-family (eq $family)))
  (export "udp-socket" (type $udp-socket' (eq $udp-socket)))
  (export "create-udp-socket" (func
    (param "address-family" $ip-address-family) (result (result (own $udp-socket') (error $error-code)))))))

(import "wasi:http/types@0.2.0" (instance $http
  (export "input-stream" (type $input-stream' (eq $input-stream)))
  (export "output-stream" (type $output-stream' (eq $output-stream)))
  (export "pollable" (type $pollable' (eq $pollable)))
  (type $method' (variant
    (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect") (case "options")
    (case "trace") (case "patch") (case "other" string)))
  (export "method" (type $method (eq $method')))
  (type $scheme' (variant (case "HTTP") (case "HTTPS") (case "other" string)))
  (export "scheme" (type $scheme (eq $scheme')))
  (type $DNS-error-payload' (record (field "rcode" (option string)) (field "info-code" (option u16))))
  (export "DNS-error-payload" (type $DNS-error-payload (eq $DNS-error-payload')))
  (type $TLS-alert-received-payload' (record
    (field "alert-id" (option u8)) (field "alert-message" (option string))))
  (export "TLS-alert-received-payload" (type $TLS-alert-received-payload (eq $TLS-alert-received-payload')))
  (type $field-size-payload' (record (field "field-name" (option string)) (field "field-size" (option u32))))
  (export "field-size-payload" (type $field-size-payload (eq $field-size-payload')))
  (type $error-code' (variant
    (case "DNS-timeout") (case "DNS-error" $DNS-error-payload) (case "destination-not-found")
    (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
    (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
    (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
    (case "TLS-protocol-error") (case "TLS-certificate-error")
    (case "TLS-alert-received" $TLS-alert-received-payload) (case "HTTP-request-denied")
    (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
    (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
    (case "HTTP-request-header-section-size" (option u32))
    (case "HTTP-request-header-size" (option $field-size-payload))
    (case "HTTP-request-trailer-section-size" (option u32))
    (case "HTTP-request-trailer-size" $field-size-payload) (case "HTTP-response-incomplete")
    (case "HTTP-response-header-section-size" (option u32))
    (case "HTTP-response-header-size" $field-size-payload) (case "HTTP-response-body-size" (option u64))
    (case "HTTP-response-trailer-section-size" (option u32))
    (case "HTTP-response-trailer-size" $field-size-payload)
    (case "HTTP-response-transfer-coding" (option string))
    (case "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout")
    (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected") (case "configuration-error")
    (case "internal-error" (option string))))
  (export "error-code" (type $error-code (eq $error-code')))
  (type $header-error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
  (export "header-error" (type $header-error (eq $header-error')))
  (export "fields" (type $fields (sub resource)))
  (export "incoming-request" (type $incoming-request (sub resource)))
  (export "outgoing-request" (type $outgoing-request (sub resource)))
  (export "request-options" (type $request-options (sub resource)))
  (export "response-outparam" (type $response-outparam (sub resource)))
  (export "incoming-response" (type $incoming-response (sub resource)))
  (export "incoming-body" (type $incoming-body (sub resource)))
  (export "outgoing-response" (type $outgoing-response (sub resource)))
  (export "outgoing-body" (type $outgoing-body (sub resource)))
  (export "future-incoming-response" (type $future-incoming-response (sub resource)))
  (export "[constructor]fields" (func (result (own $fields))))
  (export "[static]fields.from-list" (func
    (param "entries" (list (tuple string (list u8)))) (result (result (own $fields) (error $header-error)))))
  (export "[method]fields.append" (func
    (param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
    (result (result (error $header-error)))))
  (export "[method]fields.entries" (func
    (param "self" (borrow $fields)) (result (list (tuple string (list u8))))))
  (export "[method]fields.clone" (func (param "self" (borrow $fields)) (result (own $fields))))
  (export "[method]incoming-request.headers" (func
    (param "self" (borrow $incoming-request)) (result (own $fields))))
  (export "[method]incoming-request.consume" (func
    (param "self" (borrow $incoming-request)) (result (result (own $incoming-body)))))
  (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $outgoing-request))))
  (export "[method]outgoing-request.body" (func
    (param "self" (borrow $outgoing-request)) (result (result (own $outgoing-body)))))
  (export "[method]outgoing-request.set-method" (func
    (param "self" (borrow $outgoing-request)) (param "method" $method) (result (result))))
  (export "[method]outgoing-request.set-path-with-query" (func
    (param "self" (borrow $outgoing-request)) (param "path-with-query" (option string)) (result (result))))
  (export "[method]outgoing-request.set-scheme" (func
    (param "self" (borrow $outgoing-request)) (param "scheme" (option $scheme)) (result (result))))
  (export "[method]outgoing-request.set-authority" (func
    (param "self" (borrow $outgoing-request)) (param "authority" (option string)) (result (result))))
  (export "[static]outgoing-body.finish" (func (param "this" (own $outgoing-body)) (param "trailers" (option (own $fields))) (result (result (error $error-code)))))
  (export "[constructor]request-options" (func (result (own $request-options))))
  (export "[static]response-outparam.set" (func
    (param "param" (own $response-outparam))
    (param "response" (result (own $outgoing-response) (error $error-code)))))
  (export "[method]incoming-response.consume" (func
    (param "self" (borrow $incoming-response)) (result (result (own $incoming-body)))))
  (export "[method]incoming-body.stream" (func
    (param "self" (borrow $incoming-body)) (result (result (own $input-stream')))))
  (export "[constructor]outgoing-response" (func
    (param "headers" (own $fields)) (result (own $outgoing-response))))
  (export "[method]outgoing-response.set-status-code" (func
    (param "self" (borrow $outgoing-response)) (param "status-code" u16) (result (result))))
  (export "[method]outgoing-response.body" (func
    (param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))))
  (export "[method]outgoing-body.write" (func
    (param "self" (borrow $outgoing-body)) (result (result (own $output-stream')))))
  (export "[method]future-incoming-response.subscribe" (func
    (param "self" (borrow $future-incoming-response)) (result (own $pollable'))))
  (export "[method]future-incoming-response.get" (func
    (param "self" (borrow $future-incoming-response))
    (result (option (result (result (own $incoming-response) (error $error-code)))))))))
(alias export $http "fields" (type $fields))
(alias export $http "error-code" (type $http-error))
(alias export $http "incoming-request" (type $incoming-request))
(alias export $http "outgoing-request" (type $outgoing-request))
(alias export $http "request-options" (type $request-options))
(alias export $http "response-outparam" (type $response-outparam))
(alias export $http "future-incoming-response" (type $future-incoming-response))

(import "wasi:http/outgoing-handler@0.2.0" (instance $outgoing
  (export "outgoing-request" (type $outgoing-request' (eq $outgoing-request)))
  (export "request-options" (type $request-options' (eq $request-options)))
  (export "future-incoming-response" (type $future-incoming-response' (eq $future-incoming-response)))
  (export "error-code" (type $error-code (eq $http-error)))
  (export "handle" (func
    (param "request" (own $outgoing-request')) (param "options" (option (own $request-options')))
    (result (result (own $future-incoming-response') (error $error-code)))))))
