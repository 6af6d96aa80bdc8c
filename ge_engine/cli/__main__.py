from ge_engine.cli.app import main

main()
