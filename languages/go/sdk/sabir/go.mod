module sabir

go 1.22
