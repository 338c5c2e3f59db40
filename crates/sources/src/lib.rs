//! Where components and apps come from: files, URLs and registries, and the cache of what was fetched.
