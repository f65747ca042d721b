// Command frame-judge judges Podscope's plugin with code that is not Podscope's: Grafana's own plugin SDK decodes the
// frames, hashicorp/go-plugin starts the executable.
//
//	frame-judge frames FOLDER                 every *.arrow file against the *.json file beside it
//	frame-judge live EXECUTABLE URL[,URL...]  the running plugin over agents at these addresses
//
// It prints one line per check and ends with status 1 when one failed.
package main

import (
	"fmt"
	"os"
	"strings"
)

// verdict collects what was checked.
type verdict struct {
	checks int
	failed int
}

func (v *verdict) check(name string, err error) {
	v.checks++
	if err != nil {
		v.failed++
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok   %s\n", name)
}

func main() {
	v := &verdict{}
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "frames":
		err = judgeFolder(v, os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "live":
		err = judgeLive(v, os.Args[2], strings.Split(os.Args[3], ","))
	default:
		err = fmt.Errorf("usage: frame-judge frames FOLDER | frame-judge live EXECUTABLE URL[,URL...]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "frame-judge:", err)
		os.Exit(2)
	}
	fmt.Printf("%d checks, %d failed\n", v.checks, v.failed)
	if v.failed > 0 || v.checks == 0 {
		os.Exit(1)
	}
}
