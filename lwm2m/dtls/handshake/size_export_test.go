package handshake

import ("testing"; "unsafe")

func TestSize(t *testing.T) { t.Log(unsafe.Sizeof(conn{}), unsafe.Sizeof(machine{}), unsafe.Sizeof(agreed{})) }
