;; What components of the isolation suite import of WASI 0.3, as far as they need it. Put in front of a component whole.

(import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
  (export "wait-for" (func async (param "how-long" u64)))))

(import "wasi:random/random@0.3.0" (instance $random
  (export "get-random-bytes" (func (param "max-len" u64) (result (list u8))))))

(import "wasi:cli/types@0.3.0" (instance $cli-types
  (type $error-code' (enum "io" "illegal-byte-sequence" "pipe"))
  (export "error-code" (type $error-code (eq $error-code')))))
(alias export $cli-types "error-code" (type $cli-error))
(import "wasi:cli/stdout@0.3.0" (instance $stdout
  (export "error-code" (type $error-code (eq $cli-error)))
  (export "write-via-stream" (func
    (param "data" (stream u8)) (result (future (result (error $error-code))))))))

(import "wasi:sockets/types@0.3.0" (instance $sockets
  (type $ipv4-address' (tuple u8 u8 u8 u8))
  (export "ipv4-address" (type $ipv4-address (eq $ipv4-address')))
  (type $ipv6-address' (tuple u16 u16 u16 u16 u16 u16 u16 u16))
  (export "ipv6-address" (type $ipv6-address (eq $ipv6-address')))
  (type $ip-address' (variant (case "ipv4" $ipv4-address) (case "ipv6" $ipv6-address)))
  (export "ip-address" (type $ip-address (eq $ip-address')))))
(alias export $sockets "ip-address" (type $address))
(import "wasi:sockets/ip-name-lookup@0.3.0" (instance $lookup
  (export "ip-address" (type $ip-address (eq $address)))
  (type $error-code' (variant
    (case "access-denied") (case "invalid-argument") (case "name-unresolvable") (case "temporary-resolver-failure")
    (case "permanent-resolver-failure") (case "other" (option string))))
  (export "error-code" (type $error-code (eq $error-code')))
  (export "resolve-addresses" (func async
    (param "name" string) (result (result (list $ip-address) (error $error-code)))))))

(import "wasi:http/types@0.3.0" (instance $http
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
  (type $header-error' (variant
    (case "invalid-syntax") (case "forbidden") (case "immutable") (case "size-exceeded")
    (case "other" (option string))))
  (export "header-error" (type $header-error (eq $header-error')))
  (export "fields" (type $fields (sub resource)))
  (export "request" (type $request (sub resource)))
  (export "response" (type $response (sub resource)))
  (export "[constructor]fields" (func (result (own $fields))))
  (export "[method]fields.append" (func
    (param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
    (result (result (error $header-error)))))
  (export "[method]fields.clone" (func (param "self" (borrow $fields)) (result (own $fields))))))
(alias export $http "error-code" (type $http-error))
(alias export $http "request" (type $request))
(alias export $http "response" (type $response))

(type $bytes (stream u8))
(type $one (future))
