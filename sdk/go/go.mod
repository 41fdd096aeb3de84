module starsystem.example/provisioner

go 1.24
