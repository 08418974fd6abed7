from pipeline import slow_imports

slow_imports.put_off()  # here, for it must be done before any module of this package imports TFX
