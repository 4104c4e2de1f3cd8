//! IR to execution: passes, interpreter, x86-64 emitter, code cache, TLB and engine.
