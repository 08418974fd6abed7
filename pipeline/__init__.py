from pipeline import slow_imports

slow_imports.put_off()
