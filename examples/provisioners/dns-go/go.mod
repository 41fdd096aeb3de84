module dns

go 1.24

require starsystem.example/provisioner v0.1.0

replace starsystem.example/provisioner => ../../../sdk/go
