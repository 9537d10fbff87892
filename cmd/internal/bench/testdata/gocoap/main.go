// Command gocoap is a CoAP server by go-coap as it comes, over DTLS with a
// pre-shared key, to be measured beside Steward by the same generator. It answers
// every request by 4.04.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp/client"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:5784", "address to listen on")
	psk := flag.String("psk", "secret", "pre-shared key of every device")
	cid := flag.Bool("cid", true, "negotiate connection identifiers")
	flag.Parse()
	config := &piondtls.Config{
		PSK:          func([]byte) ([]byte, error) { return []byte(*psk), nil },
		CipherSuites: []piondtls.CipherSuiteID{piondtls.TLS_PSK_WITH_AES_128_CCM_8},
	}
	if *cid {
		config.ConnectionIDGenerator = piondtls.RandomCIDGenerator(8)
	}
	l, err := coapnet.NewDTLSListener("udp4", *addr, config)
	if err != nil {
		log.Fatal(err)
	}
	router := mux.NewRouter()
	router.DefaultHandle(mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
		_ = w.SetResponse(codes.NotFound, 0, nil)
	}))
	s := dtls.NewServer(options.WithMux(router), options.WithErrors(func(error) {}),
		options.WithInactivityMonitor(time.Hour, func(*client.Conn) {}))
	fmt.Printf("coaps://%s, process %d, --psk %x\n", l.Addr(), os.Getpid(), *psk)
	log.Fatal(s.Serve(l))
}
