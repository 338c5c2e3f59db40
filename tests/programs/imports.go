// Declares a function of `wasi:sockets` by hand. Go's compiler imports it into a module of WASI preview 1, which a component
// cannot be made of: nothing in the module says what the function takes and gives in terms of the component model.
package main

import "fmt"

//go:wasmimport wasi:sockets/instance-network@0.2.0 instance-network
func instanceNetwork() int32

func main() {
	fmt.Println(instanceNetwork())
}
